/* SPDX-License-Identifier: MIT */
/*
 * Threads for ends that may block, so that no worker does.
 *
 * A sink without settle has one thread: one end at a time, in the order they were submitted. With
 * settle a few ends run at once, as one disk that stalls must not hold up the others' files, and
 * those that are done but for what settle does for many at once wait for each other, for a moment:
 * until no end is under way or waits its turn, or GROUP_NS have passed.
 */
#ifndef LB_COMMITTER_H
#define LB_COMMITTER_H

#include "stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    LB_COMMITTER_THREADS = 8, /* with settle */
    LB_GROUP_MAX = 256,       /* streams that are settled at a time */
};

struct lb_committer {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct lb_stream_queue submitted; /* wait for their end to be called */
    struct lb_stream_queue unsettled; /* wait for settle */
    uint64_t unsettled_since_ns;      /* the first of them */
    unsigned ending;                  /* ends under way */
    bool settling;
    bool stopping;
    bool running;
    unsigned thread_count;
    pthread_t threads[LB_COMMITTER_THREADS];
    _Atomic uint64_t cpu_ns; /* of the threads so far */
};

/* Of one that is zeroed, or was stopped. Returns 0 or -errno. On failure it is as if it had not
 * been called. */
int lb_committer_start(struct lb_committer *committer, const struct lb_sink *sink);

/* The calling thread is one of its own. */
bool lb_committer_is_here(const struct lb_committer *committer);

/* After the last submit: waits for what is queued. */
void lb_committer_stop(struct lb_committer *committer);

/* Calls the sink's end, and settle if it asks for that, from a committer's thread, then posts the
 * stream, with its end_result, to its lane. */
void lb_committer_submit(struct lb_committer *committer, struct lb_stream *stream);

#endif
