/* SPDX-License-Identifier: MIT */
/* How long the store takes to answer, each attempt at a request by itself: written by the loop's
 * thread, read by any. Begins zeroed. */
#ifndef S3_TOOK_H
#define S3_TOOK_H

#include <lastbyte/lastbyte.h>

#include <stdatomic.h>

enum { S3_TOOK_LIMITS = 13 };

struct s3_took {
    _Atomic uint64_t counts[S3_TOOK_LIMITS + 1];
    _Atomic uint64_t sum_ns;
};

void s3_took_add(struct s3_took *took, uint64_t ns);
void s3_took_tell(const struct s3_took *took, struct lb_timing *timing);

#endif
