/* SPDX-License-Identifier: MIT */
/* An engine: the door, the rules, the workers and their threads. */
#ifndef LB_ENGINE_H
#define LB_ENGINE_H

#include "committer.h"
#include "door.h"
#include "worker.h"

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

    pthread_mutex_t running_lock;
    pthread_cond_t ended;
    _Atomic unsigned threads; /* that were started */
    unsigned running;         /* of them, under running_lock */
    _Atomic bool started;
    _Atomic bool joined;
};

#endif
