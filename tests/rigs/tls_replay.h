/* SPDX-License-Identifier: MIT */
/*
 * A client's handshake with the filter tls that is recorded once, and given to the filter again and
 * again. libssl's random numbers are the rig's: so the filter answers with the same bytes each time
 * and comes to the same keys, and what a client would send behind the handshake is made by a forger
 * who has them, and needn't be what an honest one sends. Without an engine: the rig stands in for
 * the stages of a stream.
 */
#ifndef TLS_REPLAY_H
#define TLS_REPLAY_H

#include "dice.h"
#include "verdict.h"
#include "wire.h"

#include <openssl/ssl.h>

enum {
    REPLAY_SUITES = 3,
    REPLAY_SECRET_MAX = 48,
    REPLAY_FLIGHT_MAX = 2048,
    REPLAY_PLAIN_MAX = 400 << 10,
    REPLAY_SAID_MAX = 64 << 10,
    REPLAY_PIECES = 8,
};

struct replay_suite {
    const char *name, *digest, *cipher; /* as libssl and libcrypto have it */
    size_t digest_size, key_size;
};

struct replay_client {
    const struct replay_suite *suite;
    uint8_t hello[REPLAY_FLIGHT_MAX], finished[REPLAY_FLIGHT_MAX];
    size_t hello_size, finished_size;
    char secret[40 + 2 * 32 + 2 * REPLAY_SECRET_MAX]; /* a line of a key log */
    SSL *ssl;
};

/* With the index-th suite of TLS 1.3. Aborts if that can't be. */
void replay_record(struct replay_client *client, unsigned suite);
void replay_forget(struct replay_client *client);

/* ---- what a client sends --------------------------------------------------------------------- */

struct forger {
    const struct replay_suite *suite;
    uint8_t secret[REPLAY_SECRET_MAX];
    uint64_t sequence;
    uint8_t *bytes; /* all records, one behind the other; grows */
    size_t size;
};

/* Behind the client's handshake. */
void forger_begin(struct forger *forger, const struct replay_client *client);
void forger_end(struct forger *forger);

/* A record with that inner type and so many zeros behind it. */
void forge(struct forger *forger, unsigned type, const void *content, size_t size, size_t padding);

/* What a header says, and as many bytes; nothing is enciphered. */
void forge_raw(struct forger *forger, unsigned type, unsigned version, size_t size);

/* KeyUpdate, and what comes then has the next keys. */
void forge_update(struct forger *forger, bool requested);
void forge_next_keys(struct forger *forger);

/* close_notify */
void forge_end(struct forger *forger);

/* Anything, as the dice say. */
void forge_by_dice(struct forger *forger, struct dice *dice);

/* ---- what becomes of it ---------------------------------------------------------------------- */

/* How a stream is cut: pieces of these sizes, again and again; 0: all the rest. And how its client
 * hears. */
struct replay_cut {
    size_t pieces[REPLAY_PIECES], count;
    size_t unread; /* bytes that wait for it already, and all that is said behind them; 0: none */
    bool gone;     /* behind its handshake */
};

struct replay_outcome {
    size_t plain_size, said_size;
    struct lb_verdict verdict;
    bool over;         /* before its EOF */
    size_t unanswered; /* bytes that could not be answered any more */
    size_t most_kept;  /* bytes that a piece came to beyond its own size */
    uint8_t plain[REPLAY_PLAIN_MAX], said[REPLAY_SAID_MAX];
};

/* Gives the client's handshake, and size bytes behind it, to the filter, with the one or the other
 * reader of records. */
void replay_run(const struct replay_client *client, const char *records, const uint8_t *bytes,
                size_t size, const struct replay_cut *cut, struct replay_outcome *outcome);

/* With both. Returns NULL, or what the one has come to and not the other. *outcome is valid until
 * the next. */
const char *replay_compare(const struct replay_client *client, const uint8_t *bytes, size_t size,
                           const struct replay_cut *cut, const struct replay_outcome **outcome);

#endif
