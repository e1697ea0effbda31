/* SPDX-License-Identifier: MIT */
#include "tls_line.h"

#include "patience.h"
#include "tls.h"
#include "tls_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_line {
    SSL *ssl;
    struct tls_server server;
    int alert;        /* the server's fatal one; negative: none */
    uint64_t records; /* under our key */
};

static void on_info(const SSL *ssl, int where, int value)
{
    struct tls_server *server = SSL_get_app_data(ssl);
    struct tls_line *tls =
        (struct tls_line *)(void *)((char *)server - offsetof(struct tls_line, server));

    if (where & SSL_CB_ALERT && where & SSL_CB_READ && value >> 8 == SSL3_AL_FATAL)
        tls->alert = value & 0xff;
}

/* Of those that a server sends when it has looked at our certificate, or missed it. */
static bool is_about_us(int alert)
{
    return alert == SSL_AD_CERTIFICATE_REQUIRED || alert == SSL_AD_UNKNOWN_CA ||
           (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN);
}

static const char *describe_alert(int alert)
{
    if (is_about_us(alert))
        return "the server doesn't let us send: it knows neither our key (lastbyte pin prints what "
               "its --allow-pin wants) nor another proof of ours";
    return lb_tls_alert_name(alert, true);
}

/* What a call that returned rc comes to. */
static int judge(struct line *line, int rc)
{
    const struct tls_line *tls = line->tls;
    int error = errno;

    switch (SSL_get_error(tls->ssl, rc)) {
    case SSL_ERROR_WANT_WRITE:
        line->wants_to_write = true;
        return -EAGAIN;
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return error ? -error : -ECONNRESET;
    default:
        break;
    }
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        line->unproven = true;
        return 0;
    }
    line->why = tls->alert >= 0 ? describe_alert(tls->alert) : lb_tls_complaint();
    return is_about_us(tls->alert) ? -EACCES : -EPROTO;
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void tell_server(const struct tls_client *client, const struct tls_line *tls,
                        struct tls_failure *failure)
{
    const char *why = X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
    char pin[LB_PIN_TEXT_SIZE];

    failure->final = true;
    lb_pin_write(&tls->server.pin, pin);
    if (client->pin_count)
        snprintf(failure->why, sizeof(failure->why),
                 "another key than --pin says: its pin is %s; nothing was sent", pin);
    else
        snprintf(failure->why, sizeof(failure->why),
                 "its certificate doesn't verify (%s), and nothing was sent; its pin is %s: if "
                 "that is what its recv printed, use --pin=%s",
                 client->host[0] ? why : "no name to verify", pin, pin);
}

static bool is_plain(unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
           reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_UNEXPECTED_MESSAGE;
}

static int fail(struct line *line, const struct tls_client *client, int rc,
                struct tls_failure *failure)
{
    const struct tls_line *tls = line->tls;
    bool plain = is_plain(ERR_peek_error()) && tls->alert < 0;
    int error = judge(line, rc);
    const char *why = line->why;

    if (tls->server.refused) {
        tell_server(client, tls, failure);
        return -EACCES;
    }
    if (error == 0 || error == -ECONNRESET || error == -EPIPE)
        why = "it closed the connection in TLS's handshake; does it speak TLS?";
    else if (plain)
        why = "it answers with plain bytes: it speaks no TLS; leave out --tls";
    else if (!why)
        why = strerror(-error);
    failure->final = plain || line->why;
    snprintf(failure->why, sizeof(failure->why), "%s", why);
    return error ? error : -ECONNRESET;
}

/* Waits for the socket. 0, -ETIMEDOUT or -ECANCELED. */
static int await(const struct line *line, uint64_t deadline_ns, int stop_fd)
{
    struct pollfd ready[] = {{line->socket, POLLIN, 0}, {stop_fd, POLLIN, 0}};
    uint64_t now = patience_clock();

    if (line->wants_to_write)
        ready[0].events |= POLLOUT;
    if (now >= deadline_ns)
        return -ETIMEDOUT;
    poll(ready, 2, (int)((deadline_ns - now) / 1000000 + 1));
    return ready[1].revents ? -ECANCELED : 0;
}

static int shake_hands(struct line *line, const struct tls_client *client, uint64_t deadline_ns,
                       int stop_fd, struct tls_failure *failure)
{
    const struct tls_line *tls = line->tls;
    int rc, error = 0;

    while (error == 0) {
        line->wants_to_write = false;
        ERR_clear_error();
        rc = SSL_connect(tls->ssl);
        if (rc == 1)
            return 0;
        error = SSL_get_error(tls->ssl, rc);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            return fail(line, client, rc, failure);
        line->wants_to_write = error == SSL_ERROR_WANT_WRITE;
        error = await(line, deadline_ns, stop_fd);
    }
    snprintf(failure->why, sizeof(failure->why),
             "no answer to TLS's first message in time; does it run with --tls? "
             "(--connect-timeout)");
    return error;
}

int tls_line_open(struct line *line, struct tls_client *client, uint64_t deadline_ns, int stop_fd,
                  struct tls_failure *failure)
{
    struct tls_line *tls = calloc(1, sizeof(*tls));
    int error = -ENOMEM;

    *failure = (struct tls_failure){.why = "out of memory"};
    if (!tls)
        return error;
    tls->alert = -1;
    line->tls = tls;
    tls->ssl = tls_client_meet(client, &tls->server);
    if (tls->ssl && SSL_set_fd(tls->ssl, line->socket) == 1) {
        SSL_set_info_callback(tls->ssl, on_info);
        error = shake_hands(line, client, deadline_ns, stop_fd, failure);
    }
    if (error)
        line_close(line);
    ERR_clear_error();
    return error;
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* A record at a time, as long as the socket takes them. */
ssize_t tls_line_send(struct line *line, const void *data, size_t size)
{
    struct tls_line *tls = line->tls;
    const char *bytes = data;
    size_t done = 0;
    int rc = 1;

    line->wants_to_write = false;
    ERR_clear_error();
    while (rc > 0 && done < size) {
        lb_tls_use_key(tls->ssl, &tls->records);
        rc = SSL_write(tls->ssl, bytes + done, (int)(size - done));
        done += rc > 0 ? (size_t)rc : 0;
    }
    return done > 0 ? (ssize_t)done : judge(line, rc);
}

ssize_t tls_line_receive(struct line *line, void *data, size_t size)
{
    const struct tls_line *tls = line->tls;
    int got;

    ERR_clear_error();
    got = SSL_read(tls->ssl, data, (int)size);
    return got > 0 ? got : judge(line, got);
}

int tls_line_end(struct line *line)
{
    const struct tls_line *tls = line->tls;
    int rc;

    line->wants_to_write = false;
    ERR_clear_error();
    rc = SSL_shutdown(tls->ssl);
    return rc >= 0 ? 0 : judge(line, rc);
}

void tls_line_close(struct line *line)
{
    struct tls_line *tls = line->tls;

    SSL_free(tls->ssl);
    free(tls);
}
