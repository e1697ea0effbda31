/* SPDX-License-Identifier: MIT */
/* A histogram of nanoseconds, log-linear as HdrHistogram has it: each power of two is cut into 128
 * buckets, so that a value is known to better than 0.8 %, in fixed memory. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 7,
    HISTOGRAM_VALUE_BITS = 40, /* 18 minutes; what is longer counts as this long */
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS
};

/* All zero is an empty one. Threads may add at the same time. */
struct histogram {
    _Atomic uint64_t count, sum, max;
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The least value that percent of all values do not exceed, rounded up to the end of its bucket but
 * never beyond the greatest value added; 0 if there is none. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* Writes the index and the count of each bucket that is not empty, a line for each. Bucket 0 is of
 * values below 1; they are those of an HdrHistogram of nanoseconds with two significant digits.
 * Returns 0 or -errno. */
int histogram_write(const struct histogram *histogram, const char *path);

/* 0 if there is no value. */
double histogram_mean(const struct histogram *histogram);

#endif
