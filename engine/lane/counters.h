/* SPDX-License-Identifier: MIT */
/* A worker's counters: written by its thread alone, read by any. */
#ifndef LB_COUNTERS_H
#define LB_COUNTERS_H

#include "count.h"
#include "durations.h"
#include "outcomes.h"

struct lb_counters {
    _Atomic uint64_t accepted;
    _Atomic uint64_t bytes;
    _Atomic uint64_t waits;
    _Atomic uint64_t receives;
    _Atomic uint64_t starved;
    _Atomic uint64_t empty;       /* connections that were no streams, without a byte */
    _Atomic uint64_t gather_ns;   /* what a turn gathers now */
    _Atomic uint64_t slots_taken; /* of its pool, after its last turn */
    struct lb_outcomes outcomes;
    struct lb_durations ends; /* from a stream's end to its sink's, where that took time */
};

/* Adds one worker's counters to stats. */
void lb_counters_add(struct lb_stats *stats, const struct lb_counters *counters);

#endif
