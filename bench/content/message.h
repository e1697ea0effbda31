/* SPDX-License-Identifier: MIT */
/* Messages that carry the time at which they were to be sent, and what reads them out of a stream
 * that arrives in pieces of any size. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
    uint64_t planned_ns; /* CLOCK_MONOTONIC; 0: sent to warm up, not measured */
    uint64_t sequence;   /* in its stream, from 0 */
    uint8_t rest[48];    /* of the payload, at sequence * sizeof(rest) */
};

/* All zero before the stream's first byte. */
struct message_reader {
    uint64_t sequence; /* of the next message */
    size_t have;       /* bytes of part */
    bool wrong;        /* a message was missing or not what was sent */
    uint8_t part[sizeof(struct message)];
};

void message_make(struct message *message, uint64_t planned_ns, uint64_t sequence);

/* Adds to latency how late each message arrives, now being when data did. */
void message_read(struct message_reader *reader, const void *data, size_t size, uint64_t now,
                  struct histogram *latency);

#endif
