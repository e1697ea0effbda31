/* SPDX-License-Identifier: MIT */
/* A worker: one thread that runs a lane. It waits for its backend's events, hands them to the
 * streams, and looks at its alarms and its inbox. */
#ifndef LB_WORKER_H
#define LB_WORKER_H

#include "entrance.h"
#include "gather.h"

struct lb_worker {
    struct lb_lane lane;
    struct lb_stream_table streams;
    struct lb_entrance entrance;
    struct lb_event *events;
    int *listener_fds;

    struct lb_alarm patience; /* draining: when patience ends */
    bool draining;
    bool begun;
    _Alignas(LB_COOKIE_ALIGN) char stops; /* its address: the cookie of what stops it, if watched */
    int64_t most_ns; /* how long a turn may wait; negative: as long as its alarms let it */

    struct lb_gather gather;
    struct lb_gather_window window; /* the counts at its beginning */

    pthread_t thread;
    _Atomic clockid_t clock; /* the thread's processor time, once it has begun; else 0 */
    _Atomic uint64_t cpu_ns; /* of the thread, once it has ended */
};

/* What workers of one engine share. All of it is borrowed. */
struct lb_worker_shares {
    const struct lb_rules *rules;
    struct lb_door *door;
    struct lb_notes *notes;
};

/* listener_fds is the worker's from now on, whatever the outcome (free); the descriptors in it are
 * borrowed. The worker is the next one at the door. On failure nothing is left behind. */
int lb_worker_init(struct lb_worker *worker, const struct lb_worker_shares *shares,
                   int *listener_fds, size_t listener_count, struct lb_error *error);
void lb_worker_done(struct lb_worker *worker);

/* How many streams one worker can have, those that wait for their turn included. */
unsigned lb_worker_streams(const struct lb_rules *rules);

/* On the thread that it will run on: opens what its streams share of the sink. 0 or -errno. */
int lb_worker_begin(struct lb_worker *worker);

/* Does what there is to do now, and waits for at most timeout_ns (negative: any time) for the first
 * of it. Returns false once it is over, as lb_worker_run is; after that it is not called again. */
bool lb_worker_turn(struct lb_worker *worker, int64_t timeout_ns);

/* If it has begun: receives until the door is stopped or finished and no stream is left. If it has
 * not: accepts no more. */
void lb_worker_run(struct lb_worker *worker);

#endif
