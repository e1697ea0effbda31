/* SPDX-License-Identifier: MIT */
#include "tls_client.h"

#include "command.h"
#include "console.h"
#include "identity.h"
#include "pem.h"
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* ---- who the server has to be ---------------------------------------------------------------- */

/* HOST:PORT, :PORT or [V6]:PORT, checked before. */
static void find_host(char host[TLS_HOST_SIZE], const char *address)
{
    const char *begin = *address == '[' ? address + 1 : address;
    const char *end = *address == '[' ? strchr(address, ']') : strrchr(address, ':');
    size_t size = end ? (size_t)(end - begin) : 0;

    if (strncmp(address, "unix:", strlen("unix:")) == 0 || size >= TLS_HOST_SIZE)
        return;
    if (size == 0) {
        strcpy(host, "localhost"); /* where lb_connect goes */
        return;
    }
    memcpy(host, begin, size);
    host[size] = '\0';
}

/* A scope says which network card leads there, and is no part of the address. */
static bool is_number(const char *host, char number[TLS_HOST_SIZE])
{
    unsigned char bytes[16];

    strcpy(number, host);
    number[strcspn(number, "%")] = '\0';
    return inet_pton(AF_INET, number, bytes) == 1 || inet_pton(AF_INET6, number, bytes) == 1;
}

/* In place of libssl's own check: a pin needs no other, and the pin is told where that fails. */
static int check_server(X509_STORE_CTX *store, void *argument)
{
    const struct tls_client *client = argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_server *server = SSL_get_app_data(ssl);
    bool fits;

    server->seen = lb_pin_of(&server->pin, X509_STORE_CTX_get0_cert(store)) == 0;
    if (client->pin_count)
        fits = server->seen && lb_pin_is_in(&server->pin, client->pins, client->pin_count);
    else
        fits = client->host[0] && X509_verify_cert(store) == 1;
    if (!fits && client->pin_count)
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    server->refused = !fits;
    return fits;
}

/* ---- who we are ------------------------------------------------------------------------------ */

/* The key stands first, as certificate_write has it. */
static bool use_identity(SSL *ssl, BIO *file)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, lb_pem_no_passphrase, NULL);
    X509 *certificate = PEM_read_bio_X509(file, NULL, lb_pem_no_passphrase, NULL);
    bool done = key && certificate && SSL_use_certificate(ssl, certificate) == 1 &&
                SSL_use_PrivateKey(ssl, key) == 1;

    X509_free(certificate);
    EVP_PKEY_free(key);
    return done;
}

/* The server asks for a certificate. */
static int show_certificate(SSL *ssl, void *argument)
{
    const struct tls_client *client = argument;
    char path[PATH_MAX];
    BIO *file = NULL;
    bool done;

    if (identity_find(path, client->settings->dir, "send.pem") == STATUS_OK)
        file = lb_pem_open(path);
    done = file && use_identity(ssl, file);
    BIO_free(file);
    return done;
}

static int use_psk(SSL *ssl, const EVP_MD *digest, const unsigned char **identity, size_t *size,
                   SSL_SESSION **session)
{
    const struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct lb_psk *psk = client->psks.items;

    *session = NULL;
    if (digest && !EVP_MD_is_a(digest, "SHA256"))
        return 1;
    *session = lb_tls_psk_session(ssl, psk);
    *identity = (const unsigned char *)psk->identity;
    *size = strlen(psk->identity);
    return *session != NULL;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int refuse(const char *option, const char *path)
{
    const char *why = lb_tls_complaint();

    console_tell("%s%s: can't be used: %s", option, path, why ? why : "unknown error");
    ERR_clear_error();
    return STATUS_NO_START;
}

static int take_pins(struct tls_client *client)
{
    const struct pin_list *pins = client->settings->pins;

    client->pins = calloc(pins->count + 1, sizeof(*client->pins));
    if (!client->pins)
        return refuse("--pin", "");
    for (; client->pin_count < pins->count; client->pin_count++)
        lb_pin_read(&client->pins[client->pin_count], pins->texts[client->pin_count]);
    return STATUS_OK;
}

static int take_authorities(const struct tls_client *client)
{
    const char *ca = client->settings->ca;

    if (client->pin_count)
        return STATUS_OK;
    if (ca)
        return SSL_CTX_load_verify_file(client->ctx, ca) == 1 ? STATUS_OK : refuse("--tls-ca=", ca);
    return SSL_CTX_set_default_verify_paths(client->ctx) == 1 ? STATUS_OK : refuse("--tls", "");
}

static int take_psk(struct tls_client *client)
{
    struct lb_error error = {LB_ERROR_INIT};

    if (!client->settings->psk)
        return STATUS_OK;
    if (lb_psk_read(&client->psks, client->settings->psk, &error) < 0) {
        console_tell("--tls-psk: %s", error.text);
        return STATUS_NO_START;
    }
    SSL_CTX_set_app_data(client->ctx, client);
    SSL_CTX_set_psk_use_session_callback(client->ctx, use_psk);
    return STATUS_OK;
}

static int make(struct tls_client *client)
{
    int status;

    client->ctx = SSL_CTX_new(TLS_client_method());
    /* The server says which versions are too old. */
    if (!client->ctx || lb_tls_configure(client->ctx, true) < 0)
        return refuse("--tls", "");
    SSL_CTX_set_mode(client->ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* After whatever is no answer it comes back to us: else a server could hold us by that. */
    SSL_CTX_clear_mode(client->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(client->ctx, check_server, client);
    SSL_CTX_set_cert_cb(client->ctx, show_certificate, client);
    status = take_pins(client);
    if (status == STATUS_OK)
        status = take_authorities(client);
    return status == STATUS_OK ? take_psk(client) : status;
}

int tls_client_open(struct tls_client **opened, const struct tls_settings *settings,
                    const char *address)
{
    struct tls_client *client = calloc(1, sizeof(*client));

    *opened = client;
    if (!client)
        return refuse("--tls", "");
    client->settings = settings;
    find_host(client->host, address);
    if (!client->host[0] && !settings->pins->count && !settings->psk) {
        console_tell("--tls: %s has no host name that a certificate could be for; use --pin",
                     address);
        return STATUS_USAGE;
    }
    return make(client);
}

void tls_client_close(struct tls_client *client)
{
    if (!client)
        return;
    SSL_CTX_free(client->ctx);
    lb_psk_done(&client->psks);
    free(client->pins);
    free(client);
}

SSL *tls_client_meet(const struct tls_client *client, struct tls_server *server)
{
    SSL *ssl = SSL_new(client->ctx);
    char number[TLS_HOST_SIZE];
    bool done = ssl && SSL_set_app_data(ssl, server) == 1;

    if (done && client->host[0] && is_number(client->host, number))
        done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), number) == 1;
    else if (done && client->host[0])
        done = SSL_set1_host(ssl, client->host) == 1 &&
               SSL_set_tlsext_host_name(ssl, client->host) == 1;
    if (done)
        return ssl;
    SSL_free(ssl);
    return NULL;
}
