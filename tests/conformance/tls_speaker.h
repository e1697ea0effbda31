/* SPDX-License-Identifier: MIT */
/* A peer behind its handshake, and the bytes of all that it will say. */
#ifndef TLS_SPEAKER_H
#define TLS_SPEAKER_H

#include "suite.h"

#include <openssl/ssl.h>

enum { SPEAKER_CIPHER_MAX = 64 << 10, SPEAKER_PLAIN = 60, SPEAKER_PARTS = 3 };

extern const char speaker_plain[SPEAKER_PLAIN + 1];

struct speaker {
    SSL_CTX *ctx;
    SSL *peer;
    int fd;
    uint8_t cipher[SPEAKER_CIPHER_MAX];
    size_t size;
};

/* Past the relay. */
int speaker_connect(struct server *server);
void speaker_shake(struct server *server, struct speaker *speaker);

void speaker_add(struct server *server, struct speaker *speaker, const void *data, size_t size);
void speaker_add_end(struct server *server, struct speaker *speaker);

/* All of these: speaker_plain in three records, and a close_notify. Returns where the last record
 * begins to be whole. */
size_t speaker_compose(struct server *server, struct speaker *speaker);

/* Of cipher. */
void speaker_say(struct server *server, struct speaker *speaker, size_t from, size_t to);
void speaker_leave(struct speaker *speaker);

/* What the last of so many streams came to, once all have. */
const struct ledger_entry *speaker_last_end(struct server *server, size_t count);
void speaker_check_whole(struct server *server, size_t count);
void speaker_await_refusals(struct server *server, uint64_t count);

#endif
