/* SPDX-License-Identifier: MIT */
/* What is asked of a store before anybody may come in. */
#ifndef S3_START_H
#define S3_START_H

#include "loop.h"

struct s3_start {
    struct s3_loop *loop; /* not started yet */
    const char *bucket, *prefix, *mark;
    uint64_t timeout_ns;
    /* A detail is told, or a warning. */
    void (*tell)(void *context, enum lb_note_level level, const char *text);
    void *context;
};

/* May objects be made in the bucket, and given up? An upload is begun and aborted: nothing stays.
 * Returns 0, or -errno with the remedy in error. */
int s3_start_check(const struct s3_start *start, struct lb_error *error);

/* Aborts what an earlier run with this mark has left, and tells of it. */
void s3_start_sweep(const struct s3_start *start);

#endif
