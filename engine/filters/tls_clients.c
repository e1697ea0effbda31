/* SPDX-License-Identifier: MIT */
#include "tls_clients.h"

#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_pins(struct lb_tls_clients *clients, const char *const *texts,
                     struct lb_error *error)
{
    size_t count = 0;

    while (texts && texts[count])
        count++;
    if (count == 0)
        return 0;
    clients->pins = calloc(count, sizeof(*clients->pins));
    if (!clients->pins)
        return lb_error_set(error, -ENOMEM, "out of memory");
    for (; clients->pin_count < count; clients->pin_count++)
        if (lb_pin_read(&clients->pins[clients->pin_count], texts[clients->pin_count]) < 0)
            return lb_error_set(error, -EINVAL,
                                "%s: not a pin; use sha256// and 44 characters of base64",
                                texts[clients->pin_count]);
    return 0;
}

int lb_tls_clients_open(struct lb_tls_clients *clients, const struct lb_config *config,
                        struct lb_error *error)
{
    int rc;

    *clients = (struct lb_tls_clients){.ca = config->tls_client_ca};
    rc = read_pins(clients, config->tls_pins, error);
    if (rc == 0 && config->tls_psk)
        rc = lb_psk_read(&clients->psks, config->tls_psk, error);
    if (rc < 0)
        lb_tls_clients_close(clients);
    return rc;
}

void lb_tls_clients_close(struct lb_tls_clients *clients)
{
    free(clients->pins);
    lb_psk_done(&clients->psks);
    *clients = (struct lb_tls_clients){0};
}

/* ---- one peer -------------------------------------------------------------------------------- */

/* In RFC 2253's form, where control characters and those beyond ASCII are escaped. */
static void tell_subject(struct lb_tls_who *who, X509 *certificate)
{
    static const char head[] = "subject ";
    BIO *memory = BIO_new(BIO_s_mem());
    size_t room = sizeof(who->text) - sizeof(head);
    int size = -1;

    memcpy(who->text, head, sizeof(head));
    if (memory &&
        X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0)
        size = BIO_read(memory, who->text + sizeof(head) - 1, (int)room);
    who->text[sizeof(head) - 1 + (size > 0 ? (size_t)size : 0)] = '\0';
    BIO_free(memory);
}

static void tell_pin(struct lb_tls_who *who, const char *what, const struct lb_pin *pin)
{
    char text[LB_PIN_TEXT_SIZE];

    snprintf(who->text, sizeof(who->text), "%s %s", what, lb_pin_write(pin, text));
}

/* In place of libssl's own check: a pin needs no other. */
static int check_certificate(X509_STORE_CTX *store, void *argument)
{
    const struct lb_tls_clients *clients = argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct lb_tls_who *who = SSL_get_app_data(ssl);
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    struct lb_pin pin;

    if (lb_pin_of(&pin, certificate) < 0)
        return 0;
    if (lb_pin_is_in(&pin, clients->pins, clients->pin_count)) {
        tell_pin(who, "pin", &pin);
        return 1;
    }
    if (clients->ca && X509_verify_cert(store) == 1) {
        tell_subject(who, certificate);
        return 1;
    }
    if (!clients->ca)
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    who->refused = true;
    tell_pin(who, "pin", &pin);
    return 0;
}

/* An identity that nobody knows may be a ticket of somebody else's: it is passed over. */
static int find_psk(SSL *ssl, const unsigned char *identity, size_t size, SSL_SESSION **session)
{
    const struct lb_tls_clients *clients = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct lb_psk *psk = lb_psk_find(&clients->psks, identity, size);
    struct lb_tls_who *who = SSL_get_app_data(ssl);

    *session = NULL;
    if (!psk)
        return 1;
    *session = lb_tls_psk_session(ssl, psk);
    snprintf(who->text, sizeof(who->text), "psk %s", psk->identity);
    return *session != NULL;
}

int lb_tls_clients_ask(struct lb_tls_clients *clients, SSL_CTX *ctx, struct lb_error *error)
{
    STACK_OF(X509_NAME) * names;

    if (!clients->ca && !clients->pin_count && !clients->psks.count)
        return 0;
    SSL_CTX_set_app_data(ctx, clients);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, check_certificate, clients);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"lastbyte", 8);
    if (clients->psks.count)
        SSL_CTX_set_psk_find_session_callback(ctx, find_psk);
    if (!clients->ca)
        return 0;
    names = SSL_load_client_CA_file(clients->ca);
    if (!names || SSL_CTX_load_verify_file(ctx, clients->ca) != 1) {
        const char *why = lb_tls_complaint();

        lb_error_set(error, -EBADMSG, "%s: no certificates of CAs: %s", clients->ca,
                     why ? why : "can't be read");
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        ERR_clear_error();
        return -EBADMSG;
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    return 0;
}
