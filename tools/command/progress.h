/* SPDX-License-Identifier: MIT */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <lastbyte/lastbyte.h>

#include <stdbool.h>
#include <stdint.h>

/* Seconds on the monotonic clock. */
double progress_clock(void);

/* A rate, from looking at an amount now and then. It follows slowly, so that a person can read what
 * is made of it. Zeroed: nothing was seen. */
struct progress_rate {
    double seconds; /* of the last look */
    uint64_t bytes;
    double rate; /* bytes a second */
};

void progress_rate_begin(struct progress_rate *rate, double now);

/* An amount may have become less: a stream that is sent again takes its bytes back. */
void progress_rate_take(struct progress_rate *rate, double now, uint64_t bytes);

/* What the last progress line of a receiver was made from. */
struct progress {
    struct progress_rate rate;
    double cpu_seconds;
    uint64_t size; /* bytes that are expected; 0: nobody said */
};

void progress_init(struct progress *progress, uint64_t size);

/* Draws the live line of a receiver; a plain line where there is no terminal. */
void progress_received(struct progress *progress, const struct lb_stats *stats);

#endif
