/* SPDX-License-Identifier: MIT */
/* A worker's counters: written by its thread alone, read by any. */
#ifndef LB_COUNTERS_H
#define LB_COUNTERS_H

#include <lastbyte/lastbyte.h>

#include <stdatomic.h>

struct lb_counters {
    _Atomic uint64_t accepted;
    _Atomic uint64_t bytes;
    _Atomic uint64_t waits;
    _Atomic uint64_t receives;
    _Atomic uint64_t starved;
    _Atomic uint64_t refused;
    _Atomic uint64_t failed_preludes; /* of them, those that had no number yet */
    _Atomic uint64_t partial;
    _Atomic uint64_t ends[LB_END_COUNT];
};

/* Without a locked instruction: there is one writer. */
static inline void lb_count(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, value + more, memory_order_relaxed);
}

/* Adds one worker's counters to stats. */
void lb_counters_add(struct lb_stats *stats, const struct lb_counters *counters);

#endif
