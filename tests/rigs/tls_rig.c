/* SPDX-License-Identifier: MIT */
#include "tls_rig.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int tls_rig_identity(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    if (!file || !key || !certificate)
        return -ENOMEM;
    X509_set_version(certificate, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"rig", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 24L * 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    PEM_write_X509(file, certificate);
    EVP_PKEY_free(key);
    X509_free(certificate);
    return fclose(file) == 0 ? 0 : -errno;
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
        got = recv(fd, data, sizeof(data), 0);
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

    while ((got = recv(fd, data, sizeof(data), 0)) > 0) {
        tls_rig_give(peer, data, (size_t)got);
        while ((plain = SSL_read(peer, (char *)heard + used, (int)(room - used))) > 0)
            used += (size_t)plain;
        ERR_clear_error();
    }
    return got == 0 && SSL_get_shutdown(peer) & SSL_RECEIVED_SHUTDOWN ? (long)used : -1;
}
