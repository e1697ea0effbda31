/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum { SUB_BUCKETS = 1 << HISTOGRAM_SUB_BITS };
#define VALUE_MAX (((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1)

static size_t bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < SUB_BUCKETS)
        return value;
    shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_SUB_BITS) + (value >> shift) - SUB_BUCKETS;
}

static uint64_t last_value_of(size_t bucket)
{
    uint64_t mantissa = SUB_BUCKETS + (bucket & (SUB_BUCKETS - 1));
    unsigned shift;

    if (bucket < SUB_BUCKETS)
        return bucket;
    shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    return ((mantissa + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    uint64_t clamped = value < VALUE_MAX ? value : VALUE_MAX;

    atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->buckets[bucket_of(clamped)], 1, memory_order_relaxed);
    while (value > max && !atomic_compare_exchange_weak(&histogram->max, &max, value))
        ;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    double exact = ceil(percent / 100 * (double)histogram->count);
    uint64_t rank = exact < 1 ? 1 : (uint64_t)exact;
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank) {
            uint64_t last = last_value_of(i);

            /* The last bucket also holds what is beyond its end. */
            return last < histogram->max && i < HISTOGRAM_BUCKETS - 1 ? last : histogram->max;
        }
    }
    return histogram->max;
}

int histogram_write(const struct histogram *histogram, const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return -errno;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (histogram->buckets[i] > 0)
            fprintf(file, "%zu %" PRIu64 "\n", i, histogram->buckets[i]);
    return fclose(file) == 0 ? 0 : -errno;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
}
