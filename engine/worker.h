/* SPDX-License-Identifier: MIT */
/* A worker: one thread with its own backend, pool and streams. It shares nothing with others while
 * data flows. */
#ifndef LB_WORKER_H
#define LB_WORKER_H

#include "backend.h"
#include "counters.h"
#include "gather.h"
#include "pipe.h"
#include "pool.h"
#include "stream.h"

#include <pthread.h>

struct lb_engine;

struct lb_worker {
    struct lb_engine *engine;
    const struct lb_backend *backend;
    void *backend_state;
    const struct lb_backend_status *status;
    struct lb_pool pool;
    struct lb_stream_table streams;
    struct lb_event *events;
    int *listener_fds;
    size_t listener_count;
    int wake_fd;

    unsigned open_streams;                        /* begun and not closed */
    struct lb_stream *parked_first, *parked_last; /* accepted ahead of a limit, in order */
    uint64_t accept_again_ns;    /* after a failed accept: when to try again; else 0 */
    uint64_t drain_until_ns;     /* once stopping: when patience ends; else 0 */
    uint64_t look_at_answers_ns; /* while receipts are on their way: when to see whose time is up */
    bool left_door;              /* it accepts no more, for good */
    bool stopped_now;            /* every stream has been told to end */

    uint64_t
        swept_ns; /* the last sweep for limits of time, or the begin of the first stream since */

    struct lb_pipe splice;
    struct lb_throttle throttle;
    struct lb_gather gather;
    struct lb_gather_window window; /* the counts at its beginning */

    struct lb_counters counters;
    _Atomic bool hungry; /* waits for room at the gate: wake it when a stream ends anywhere */

    pthread_mutex_t committed_lock;
    struct lb_stream *committed; /* back from the committer */

    pthread_t thread;
    _Atomic uint64_t cpu_ns; /* of the thread, once it has ended */
};

/* engine's configuration is complete. listener_fds is the worker's from now on, whatever the
 * outcome (free); the descriptors in it are borrowed. */
int lb_worker_init(struct lb_worker *worker, struct lb_engine *engine, int *listener_fds,
                   size_t listener_count, struct lb_error *error);
void lb_worker_done(struct lb_worker *worker);

/* How many streams one worker can have, those that wait for their turn included. */
unsigned lb_worker_streams(const struct lb_engine *engine);

/* Receives until the engine is stopped or finished and no stream is left. */
void lb_worker_run(struct lb_worker *worker);

/* Begins to receive a connection that is a caller's: fd, a duplicate of theirs, is the worker's. */
int lb_worker_adopt(struct lb_worker *worker, int fd);

/* A stream's receipt is on its way: its patience has to be looked after. */
void lb_worker_await_answers(struct lb_worker *worker);

/* From any thread, and from a signal handler: the worker looks at what changed. */
void lb_worker_wake(const struct lb_worker *worker);

/* From the committer's thread: the stream's end_result is set. */
void lb_worker_committed(struct lb_worker *worker, struct lb_stream *stream);

#endif
