/* SPDX-License-Identifier: MIT */
#include "counters.h"

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void lb_counters_add(struct lb_stats *stats, const struct lb_counters *counters)
{
    stats->accepted += read_counter(&counters->accepted);
    stats->bytes += read_counter(&counters->bytes);
    stats->waits += read_counter(&counters->waits);
    stats->receives += read_counter(&counters->receives);
    stats->starved += read_counter(&counters->starved);
    stats->refused += read_counter(&counters->refused);
    stats->failed_preludes += read_counter(&counters->failed_preludes);
    stats->partial += read_counter(&counters->partial);
    for (int end = 0; end < LB_END_COUNT; end++) {
        uint64_t ends = read_counter(&counters->ends[end]);

        stats->ends[end] += ends;
        stats->streams += ends;
    }
}
