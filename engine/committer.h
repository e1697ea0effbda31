/* SPDX-License-Identifier: MIT */
/* The committer: one thread that runs the ends of sinks that may block, one at a time, in the
 * order of ends, so that no worker waits for a disk or a slow pipe. */
#ifndef LB_COMMITTER_H
#define LB_COMMITTER_H

#include "stream.h"

#include <pthread.h>
#include <stdatomic.h>

struct lb_committer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct lb_stream *first, *last;
    _Atomic uint64_t cpu_ns; /* of the thread, as of its last end */
    bool stopping;
    bool running;
};

int lb_committer_start(struct lb_committer *committer);

/* Returns after everything that was submitted is done. */
void lb_committer_stop(struct lb_committer *committer);

/* The stream is the committer's until its worker gets it back by lb_worker_committed. */
void lb_committer_submit(struct lb_committer *committer, struct lb_stream *stream);

#endif
