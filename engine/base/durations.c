/* SPDX-License-Identifier: MIT */
#include "durations.h"

#include "clock.h"

/* From a disk that only remembers to a store that is in trouble. */
static const double limits[LB_DURATION_LIMITS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                  0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                                  1,      2.5,     5,      10,    60};

_Static_assert(LB_DURATION_LIMITS + 1 <= LB_TIMING_MAX, "a timing has a place for each count");

void lb_durations_add(struct lb_durations *durations, uint64_t ns)
{
    double seconds = (double)ns / (double)LB_NS_PER_S;
    size_t i = 0;

    while (i < LB_DURATION_LIMITS && seconds > limits[i])
        i++;
    atomic_fetch_add_explicit(&durations->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&durations->sum_ns, ns, memory_order_relaxed);
}

void lb_durations_tell(const struct lb_durations *durations, struct lb_timing *timing)
{
    timing->limits = limits;
    timing->limit_count = LB_DURATION_LIMITS;
    for (size_t i = 0; i <= LB_DURATION_LIMITS; i++)
        timing->counts[i] += atomic_load_explicit(&durations->counts[i], memory_order_relaxed);
    timing->sum_seconds += (double)atomic_load_explicit(&durations->sum_ns, memory_order_relaxed) /
                           (double)LB_NS_PER_S;
}
