/* SPDX-License-Identifier: MIT */
/* What one stream has brought, for the receiver that it is a part of. */
#ifndef TALLY_H
#define TALLY_H

#include "receiver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One stream's. Small, since what it needs counts as the contender's. */
struct tally {
    uint64_t bytes;
    struct tally_extra *extra; /* only where content matters */
};

/* A stream was accepted. */
void tally_begin(struct receiver *receiver, struct tally *tally);

/* For tally_take. */
void tally_look(struct receiver *receiver, struct tally *tally, const void *data, size_t size);

/* Bytes have arrived: counts them, and does with them what the workload wants. */
static inline void tally_take(struct receiver *receiver, struct tally *tally, const void *data,
                              size_t size)
{
    tally->bytes += size;
    if (__builtin_expect(tally->extra != NULL, 0))
        tally_look(receiver, tally, data, size);
}

/* The stream has ended; error is 0 for EOF, else an errno. Returns true if it was the last. */
bool tally_end(struct receiver *receiver, struct tally *tally, int error);

#endif
