/* SPDX-License-Identifier: MIT */
/* Bytes that wait on disk, in an unlinked temporary file: first in, first out. All spools of a sink
 * share a bound. Where it is reached the largest of them is doomed: what it holds is dropped at
 * once, its stream ends as LB_END_LIMIT, "spool-total", and the others go on. */
#ifndef LB_SPOOL_H
#define LB_SPOOL_H

#include <lastbyte/lastbyte.h>

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

/* What the spools of one sink have in common. For any thread. */
struct lb_spools {
    char directory[PATH_MAX]; /* $TMPDIR or /tmp */
    bool usable;              /* it was at the start */
    uint64_t total;        /* bytes on disk; a doomed spool may take a while to go, meanwhile they
                                 may be an eighth more */
    uint64_t memory_total; /* bytes in memory, before anything goes to disk */
    atomic_uint_fast64_t memory;
    pthread_mutex_t lock;
    uint64_t used;          /* bytes on disk */
    struct lb_spool *first; /* of those with a file that may be doomed, in no order */
};

/* Takes the directory and total from the environment and options, and tries to make a file. Returns
 * 0, or -errno when $TMPDIR is set and of no use; where /tmp is of no use options' note is told. */
int lb_spools_init(struct lb_spools *spools, const char *sink_name,
                   const struct lb_sink_options *options, struct lb_error *error);
void lb_spools_done(struct lb_spools *spools);

/* Tries again, for a process that has become another user. Returns 0 or -errno. */
int lb_spools_check(const struct lb_spools *spools, struct lb_error *error);

/* Takes more memory, or gives it back with a negative number. Returns false if it would be too
 * much. */
bool lb_spools_take_memory(struct lb_spools *spools, int64_t bytes);

struct lb_spool {
    struct lb_spools *spools;
    struct lb_stream *stream;
    struct lb_spool *next; /* of spools->first */
    int fd;                /* -1 until something waits */
    uint64_t max;          /* size never passes that */
    uint64_t size;         /* bytes in the file */
    uint64_t taken;        /* of these, how many are no longer wanted */
    /* Under the lock: */
    uint64_t charged; /* of the bytes in use, those that are its own */
    bool listed;
    bool doomed; /* its file was made empty */
};

void lb_spool_init(struct lb_spool *spool, struct lb_spools *spools, struct lb_stream *stream,
                   uint64_t max);
void lb_spool_done(struct lb_spool *spool);

static inline uint64_t lb_spool_waiting(const struct lb_spool *spool)
{
    return spool->size - spool->taken;
}

/* Makes the file at first use. Returns 0 or -errno; -EFBIG: that would be more than max. If it
 * would be too much in all, and no other spool is larger, the stream's limit is noted
 * (lb_stream_over_limit). */
int lb_spool_append(struct lb_spool *spool, const void *data, size_t size);

/* Is it still allowed to be? Returns 0, or an -errno that ends the stream at its limit. To be asked
 * whenever the sink is called, which a large one sees to by the stream's alarm. */
int lb_spool_look(struct lb_spool *spool);

/* The same for the last time: from now on it can't be doomed. */
int lb_spool_keep(struct lb_spool *spool);

/* Copies the bytes that wait longest; they wait on until lb_spool_take. Returns how many, at least
 * one, or -errno, as lb_spool_look too. Something must be waiting. */
ssize_t lb_spool_peek(struct lb_spool *spool, void *data, size_t size);

/* The size bytes that wait longest are done with. */
void lb_spool_take(struct lb_spool *spool, size_t size);

#endif
