/* SPDX-License-Identifier: MIT */
#include "tls_rig.h"

#include "support.h"
#include "tools/command/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

int tls_rig_identity(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;

    if (fd < 0 || !certificate_write(fd))
        rc = -EIO;
    if (fd >= 0)
        close(fd);
    return rc;
}

SSL_CTX *tls_rig_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    /* Whatever the system's configuration says. */
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    return ctx;
}

SSL *tls_rig_peer(SSL_CTX *ctx)
{
    SSL *peer = SSL_new(ctx);

    SSL_set_bio(peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(peer);
    return peer;
}

size_t tls_rig_take(SSL *peer, uint8_t *data, size_t room)
{
    int size = BIO_read(SSL_get_wbio(peer), data, (int)room);

    return size > 0 ? (size_t)size : 0;
}

void tls_rig_give(SSL *peer, const void *data, size_t size)
{
    BIO_write(SSL_get_rbio(peer), data, (int)size);
}

/* A fuzzer has an alarm, which interrupts. */
static ssize_t receive(int fd, uint8_t *data, size_t room)
{
    ssize_t got;

    do
        got = recv(fd, data, room, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

int tls_rig_shake(SSL *peer, int fd)
{
    uint8_t data[4096];

    for (;;) {
        int rc = SSL_do_handshake(peer);
        size_t said = tls_rig_take(peer, data, sizeof(data));
        int error = said ? peer_send(fd, data, said) : 0;
        ssize_t got;

        if (error || rc == 1)
            return error;
        if (SSL_get_error(peer, rc) != SSL_ERROR_WANT_READ)
            return -EPROTO;
        got = receive(fd, data, sizeof(data));
        if (got <= 0)
            return got < 0 ? -errno : -EPIPE;
        tls_rig_give(peer, data, (size_t)got);
    }
}

long tls_rig_hear(SSL *peer, int fd, void *heard, size_t room)
{
    uint8_t data[4096];
    size_t used = 0;
    ssize_t got;
    int plain;

    while ((got = receive(fd, data, sizeof(data))) > 0) {
        tls_rig_give(peer, data, (size_t)got);
        while ((plain = SSL_read(peer, (char *)heard + used, (int)(room - used))) > 0)
            used += (size_t)plain;
        ERR_clear_error();
    }
    return got == 0 && SSL_get_shutdown(peer) & SSL_RECEIVED_SHUTDOWN ? (long)used : -1;
}
