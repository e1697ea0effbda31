/* SPDX-License-Identifier: MIT */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long a connection may take; 0: for ever. */
struct patience_limits {
    unsigned idle_ms;      /* without a byte going either way while it is the server's turn */
    unsigned keepalive_ms; /* TCP: without a sign of life from its machine, though asked */
    uint64_t deadline_ns;  /* of the monotonic clock: for all of it */
};

/* Of a connection under way. */
struct patience {
    const struct patience_limits *limits;
    int socket;
    bool tcp;
    bool moved;             /* something has, since the last look */
    uint64_t look_ns;       /* when to look next; 0: never */
    uint64_t every_ns;      /* how often */
    uint64_t idle_since_ns; /* nothing has moved since */
    uint64_t asked_ns; /* since then the server's machine owes a sign of life; 0: it does not */
    int queued;        /* bytes that it had not acknowledged at the last look */
};

uint64_t patience_clock(void);

/* Begins, and has the kernel ask a TCP server that is silent for a sign of life. */
void patience_init(struct patience *patience, int socket, const struct patience_limits *limits);

/* For poll(2): until the next look, or -1. */
int patience_wait_ms(const struct patience *patience);

/* To be called whenever that has passed; otherwise it costs next to nothing. ours: nothing happens
 * because there is no input. Returns 0, or -ETIMEDOUT with what has run out told in why. A time is
 * met late by up to a quarter. */
int patience_check(struct patience *patience, bool ours, char *why, size_t size);

/* Bytes that the kernel holds for the server, unacknowledged. */
int patience_queued(int socket);

#endif
