/* SPDX-License-Identifier: MIT */
#include "took.h"

static const double limits[S3_TOOK_LIMITS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                              0.25,  0.5,    1,     5,    30,    120};

void s3_took_add(struct s3_took *took, uint64_t ns)
{
    double seconds = (double)ns / 1e9;
    size_t i = 0;

    while (i < S3_TOOK_LIMITS && seconds > limits[i])
        i++;
    atomic_fetch_add_explicit(&took->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&took->sum_ns, ns, memory_order_relaxed);
}

void s3_took_tell(const struct s3_took *took, struct lb_timing *timing)
{
    timing->name = "store";
    timing->help = "of an attempt at a request to the store, its answer included";
    timing->limits = limits;
    timing->limit_count = S3_TOOK_LIMITS;
    for (size_t i = 0; i <= S3_TOOK_LIMITS; i++)
        timing->counts[i] = atomic_load_explicit(&took->counts[i], memory_order_relaxed);
    timing->sum_seconds = (double)atomic_load_explicit(&took->sum_ns, memory_order_relaxed) / 1e9;
}
