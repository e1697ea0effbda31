/* SPDX-License-Identifier: MIT */
/*
 * TLS in a sink: what a program may do that wants a libssl of its own set-up, in place of the
 * library's TLS (lb_config.tls). Streams are deciphered and stored in a directory.
 *
 *     tls_sink ADDRESS DIRECTORY CERTIFICATE KEY
 *
 * Shows: a sink that wraps a built-in one (lb_sink_wrap) and gives it other bytes; answers of a
 * protocol's own (lb_stream_say); an end that the protocol knows (close_notify: lb_stream_finish),
 * so that a connection which was cut is told to be truncated; a refusal that the peer hears.
 */
#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { RECORD = 16 << 10 };

struct server {
    struct lb_wrap wrap; /* first: the sink's context */
    SSL_CTX *tls;
};

struct peer {
    SSL *ssl; /* reads from memory, and writes to it */
    bool ended;
};

/* What libssl wants to say. A peer that reads nothing may not hold us up. */
static int answer(struct lb_stream *stream, const struct peer *peer)
{
    char *data;
    long size = BIO_get_mem_data(SSL_get_wbio(peer->ssl), &data);
    ssize_t said = size > 0 ? lb_stream_say(stream, data, (size_t)size) : 0;

    (void)BIO_reset(SSL_get_wbio(peer->ssl));
    return said == size ? 0 : said < 0 ? (int)said : -ENOBUFS;
}

static int begin(struct lb_stream *stream, void *context)
{
    const struct server *server = context;
    struct peer *peer = lb_wrap_state(&server->wrap, stream);
    int rc;

    peer->ssl = SSL_new(server->tls);
    if (!peer->ssl)
        return -ENOMEM;
    SSL_set_bio(peer->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(peer->ssl), -1); /* there may be more: no end */
    SSL_set_accept_state(peer->ssl);
    rc = server->wrap.inner->open(stream, server->wrap.inner_context);
    if (rc < 0)
        SSL_free(peer->ssl); /* there will be no end */
    return rc;
}

static ssize_t decipher(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct server *server = context;
    struct peer *peer = lb_wrap_state(&server->wrap, stream);
    char plain[RECORD];
    int got, state, rc;

    ERR_clear_error();
    if (BIO_write(SSL_get_rbio(peer->ssl), data, (int)size) != (int)size)
        return -ENOMEM;
    while ((got = SSL_read(peer->ssl, plain, sizeof(plain))) > 0) {
        const struct lb_sink *inner = server->wrap.inner;
        ssize_t put = inner->write(stream, server->wrap.inner_context, plain, (size_t)got);

        if (put < 0)
            return put;
    }
    state = SSL_get_error(peer->ssl, got);
    peer->ended = state == SSL_ERROR_ZERO_RETURN;
    if (peer->ended)
        SSL_shutdown(peer->ssl);
    rc = answer(stream, peer);
    if (rc == 0 && peer->ended)
        rc = lb_stream_finish(stream);
    if (rc == 0 && !peer->ended && state != SSL_ERROR_WANT_READ)
        rc = lb_stream_refuse(stream, NULL); /* libssl's alert has been said */
    return rc < 0 ? rc : (ssize_t)size;
}

/* Runs where the inner sink's end may block. */
static int end(struct lb_stream *stream, void *context, enum lb_end reason)
{
    const struct server *server = context;
    struct peer *peer = lb_wrap_state(&server->wrap, stream);
    bool cut = reason == LB_END_EOF && !peer->ended;
    int rc = server->wrap.inner->end(stream, server->wrap.inner_context,
                                     cut ? LB_END_TRUNCATED : reason);

    SSL_free(peer->ssl);
    return rc >= 0 && cut ? -ECONNABORTED : rc; /* the engine may not take it for complete */
}

static struct lb_engine *engine;

static void stop(int number)
{
    (void)number;
    lb_engine_stop(engine); /* any handler may. NOLINT(bugprone-signal-handler,cert-sig30-c) */
}

int main(int argc, char **argv)
{
    struct server server = {.wrap = {LB_WRAP_INIT}, .tls = SSL_CTX_new(TLS_server_method())};
    struct lb_sink sink = {LB_SINK_INIT,  .name = "tls",     .state_size = sizeof(struct peer),
                           .open = begin, .write = decipher, .end = end};
    const char *listen[] = {argc == 5 ? argv[1] : NULL, NULL};
    char directory[300];
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};

    if (argc != 5 || !server.tls || SSL_CTX_use_certificate_chain_file(server.tls, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(server.tls, argv[4], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "tls_sink ADDRESS DIRECTORY CERTIFICATE KEY\n");
        return 2;
    }
    snprintf(directory, sizeof(directory), "dir:%s", argv[2]);
    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.sink_context = &server;
    if (lb_sink_open(&server.wrap.inner, &server.wrap.inner_context, directory, NULL, &error) < 0 ||
        lb_sink_wrap(&sink, &server.wrap, &error) < 0 ||
        lb_engine_open(&engine, &config, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    signal(SIGTERM, stop);
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (lb_engine_start(engine) == 0)
        lb_engine_wait(engine, -1);
    SSL_CTX_free(server.tls);
    return lb_engine_close(engine) + lb_sink_close(server.wrap.inner, server.wrap.inner_context);
}
