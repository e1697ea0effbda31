/* SPDX-License-Identifier: MIT */
/* Messages that carry the time at which they were to be sent, and what reads them out of a stream
 * that arrives in pieces of any size. */
#ifndef STAMPS_H
#define STAMPS_H

#include "histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stamped_message {
    uint64_t planned_ns; /* CLOCK_MONOTONIC; 0: sent to warm up, not measured */
    uint64_t sequence;   /* in its stream, from 0 */
    uint8_t rest[48];    /* of the payload, at sequence * sizeof(rest) */
};

/* All zero before the stream's first byte. */
struct stamps {
    uint64_t sequence; /* of the next message */
    size_t have;       /* bytes of part */
    bool wrong;        /* a message was missing or not what was sent */
    uint8_t part[sizeof(struct stamped_message)];
};

void stamps_make(struct stamped_message *message, uint64_t planned_ns, uint64_t sequence);

/* Adds to latency how late each message arrives, now being when data did. */
void stamps_read(struct stamps *stamps, const void *data, size_t size, uint64_t now,
                 struct histogram *latency);

#endif
