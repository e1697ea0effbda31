/* SPDX-License-Identifier: MIT */
/* The soak's peers: what each kind does to the address of one server, and its book of it. */
#ifndef SOAK_PEER_H
#define SOAK_PEER_H

#include "support.h"

/* Kept in step with soak_test.py, which starts the servers. */
enum { SOAK_MAX_BYTES = 4 << 20 };

/* How many of something there are in the end: it can't always be known. */
struct bounds {
    uint64_t least, most;
};

/* What the peers of one address know. */
struct book {
    struct bounds accepted, bytes;
    struct bounds eof; /* streams that end so; the others below likewise */
    struct bounds reset, timeout, limit, truncated;
    uint64_t proven, proven_bytes; /* by a receipt */
};

/* A peer that stays until the server ends it. */
enum { LINGERERS = 6 };

struct lingerer {
    int fd; /* -1: none */
    bool drips;
    uint64_t tag, sent;
    uint64_t next_ns; /* when it says a byte again */
};

struct peer {
    const char *address;
    bool local; /* a Unix socket: it has no reset, and a close alone is no end */
    uint64_t random;
    struct book book;
    struct lingerer lingerers[LINGERERS];
    char violation[400]; /* the first; empty if there was none */
};

struct kind {
    const char *name;
    unsigned weight;
    void (*play)(struct peer *peer);
};

/* The end of the table has no name. */
extern const struct kind soak_kinds[];

/* Drips, and lets go of those that the server has ended. Returns how many are left. */
unsigned peer_tend_lingerers(struct peer *peer);

void peer_violate(struct peer *peer, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
