/* SPDX-License-Identifier: MIT */
/* Bytes that wait on disk, in an unlinked temporary file: first in, first out. */
#ifndef LB_SPOOL_H
#define LB_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lb_spool {
    int fd;         /* -1 until something waits */
    uint64_t max;   /* size never passes that */
    uint64_t size;  /* bytes in the file */
    uint64_t taken; /* of these, how many are no longer wanted */
};

void lb_spool_init(struct lb_spool *spool, uint64_t max);
void lb_spool_done(struct lb_spool *spool);

static inline uint64_t lb_spool_waiting(const struct lb_spool *spool)
{
    return spool->size - spool->taken;
}

/* Makes the file, in $TMPDIR or /tmp, at first use. Returns 0 or -errno;
 * -EFBIG: that would be more than max. */
int lb_spool_append(struct lb_spool *spool, const void *data, size_t size);

/* Copies the bytes that wait longest; they wait on until lb_spool_take. Returns how many, at least
 * one, or -errno. Something must be waiting. */
ssize_t lb_spool_peek(const struct lb_spool *spool, void *data, size_t size);

/* The size bytes that wait longest are done with. */
void lb_spool_take(struct lb_spool *spool, size_t size);

#endif
