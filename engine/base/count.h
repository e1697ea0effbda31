/* SPDX-License-Identifier: MIT */
/* Counts that one thread writes and any may read. */
#ifndef LB_COUNT_H
#define LB_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

static inline uint64_t lb_count_read(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static inline void lb_count_set(_Atomic uint64_t *count, uint64_t value)
{
    atomic_store_explicit(count, value, memory_order_relaxed);
}

/* Without a locked instruction: there is one writer. */
static inline void lb_count(_Atomic uint64_t *count, uint64_t more)
{
    lb_count_set(count, lb_count_read(count) + more);
}

#endif
