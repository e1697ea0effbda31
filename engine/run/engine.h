/* SPDX-License-Identifier: MIT */
/* An engine: the door, the rules, the workers and their threads. */
#ifndef LB_ENGINE_H
#define LB_ENGINE_H

#include "committer.h"
#include "door.h"
#include "worker.h"

/* What a program's own loop needs; see own_loop.h. */
struct lb_own_loop {
    int epoll, timer;  /* -1: not open */
    uint64_t armed_ns; /* what the timer is set to */
    pthread_t thread;  /* that has started it, and runs it */
};

struct lb_engine {
    struct lb_config config; /* settled */
    struct lb_sink sink;     /* the program's, as far as it is known */
    struct lb_rules rules;
    struct lb_throttle_limits throttle;
    struct lb_door door;
    struct lb_notes notes;
    struct lb_committer committer;
    struct lb_worker *workers;
    unsigned worker_count;
    struct lb_own_loop loop;

    pthread_mutex_t running_lock;
    pthread_cond_t ended;
    _Atomic unsigned threads; /* that were started */
    unsigned running;         /* of them, under running_lock */
    unsigned beginning;       /* of them, that have not yet; under it, too */
    int begin_error;          /* of the first that could not */
    int end_fd;               /* an eventfd: readable once the last stream has ended; -1: none */
    _Atomic bool started;
    _Atomic bool joined;
    pid_t owner; /* the process that it was opened by, and is of */
};

#endif
