/* SPDX-License-Identifier: MIT */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <lastbyte/lastbyte.h>

#include <stddef.h>

/* What the last progress line was made from, so that the next can tell a rate. */
struct progress {
    double seconds;
    uint64_t bytes;
    double cpu_seconds;
};

/* Seconds on the monotonic clock. */
double progress_clock(void);

void progress_init(struct progress *progress);

/* Draws the live line of a receiver. */
void progress_received(struct progress *progress, const struct lb_stats *stats);

/* Draws the live line of a sender: done of count streams sent, bytes so far. */
void progress_sent(struct progress *progress, size_t done, size_t count, uint64_t bytes);

#endif
