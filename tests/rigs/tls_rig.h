/* SPDX-License-Identifier: MIT */
/* A peer that speaks TLS in memory: what it says are bytes, to be sent as a test likes. */
#ifndef TLS_RIG_H
#define TLS_RIG_H

#include <openssl/ssl.h>
#include <stdint.h>

/* Writes a key and a certificate that it has signed itself. 0 or -errno. */
int tls_rig_identity(const char *path);

/* Of a client. The caller frees both. */
SSL_CTX *tls_rig_context(void);
SSL *tls_rig_peer(SSL_CTX *ctx);

/* Takes what it has to say. Returns how many of the room bytes were used. */
size_t tls_rig_take(SSL *peer, uint8_t *data, size_t room);

/* Gives it what it is told. */
void tls_rig_give(SSL *peer, const void *data, size_t size);

/* Shakes hands over a blocking socket. 0 or -errno. */
int tls_rig_shake(SSL *peer, int fd);

/* Hears until the server's EOF: plain bytes into heard. Returns how many, or -1: there was no
 * close_notify before it, or there was a reset. */
long tls_rig_hear(SSL *peer, int fd, void *heard, size_t room);

#endif
