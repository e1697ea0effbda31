/* SPDX-License-Identifier: MIT */
/* What has arrived, stream by stream, against what was sent. In memory that sender, receiver and
 * driver share; written by the receiver's threads. */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include "histogram.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct arrivals {
    uint64_t streams;      /* that will come */
    uint64_t stream_bytes; /* in each */
    _Atomic uint64_t opened, ended, bytes;
    _Atomic uint64_t last_end_ns; /* CLOCK_MONOTONIC; set by the last end */
    _Atomic bool wrong;
    char why[200]; /* about the first that was wrong */
    struct histogram latency;
};

void arrivals_init(struct arrivals *arrivals, uint64_t streams, uint64_t stream_bytes);

/* A stream was accepted. */
static inline void arrivals_open(struct arrivals *arrivals)
{
    atomic_fetch_add(&arrivals->opened, 1);
}

/* A stream has ended after bytes; error is 0 for EOF. Returns true if it was the last. */
bool arrivals_end(struct arrivals *arrivals, uint64_t bytes, int error);

/* Something is wrong; only the first is kept. */
void arrivals_wrong(struct arrivals *arrivals, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline bool arrivals_finished(const struct arrivals *arrivals)
{
    return atomic_load(&arrivals->ended) >= arrivals->streams;
}

#endif
