/* SPDX-License-Identifier: MIT */
/* A lane: what a stream needs of its thread. It shares nothing with others while data flows. All of
 * it is its thread's alone, but for the inbox and the counters. */
#ifndef LB_LANE_H
#define LB_LANE_H

#include "acks.h"
#include "alarms.h"
#include "counters.h"
#include "inbox.h"
#include "notes.h"
#include "pipe.h"
#include "pool.h"
#include "rules.h"

struct lb_committer;
struct lb_door;
struct lb_engine;
struct lb_stream;
struct lb_stream_table;

struct lb_lane {
    const struct lb_rules *rules;
    const struct lb_backend *backend;
    void *backend_state;
    const struct lb_backend_status *status;
    struct lb_pool pool;
    struct lb_pipe pipe;
    struct lb_counters counters;
    struct lb_inbox inbox;
    struct lb_alarms alarms;
    struct lb_throttle throttle;
    struct lb_alarm throttle_alarm; /* while somebody waits there */
    uint8_t *scratch; /* a part of LB_SCRATCH_SIZE bytes for each filter and way, or NULL */

    unsigned index;     /* among the lanes */
    unsigned entering;  /* streams whose preludes run */
    unsigned under_way; /* streams begun and not closed */

    bool hurry;               /* every stream was told to end: no peer is waited for */
    bool woken;               /* lb_engine_wake is called, or somebody was told that it is not */
    struct lb_hush unchecked; /* of notes about seals and TLS that nobody looks at */

    void *worker_state; /* its sink's, of worker_open */

    /* What it carries for the rooms that stand on this one. */
    struct lb_notes *notes;
    struct lb_stream_table *streams;
    struct lb_door *door;
    struct lb_committer *committer; /* NULL: ends run on this thread */
    struct lb_engine *engine;       /* NULL: none, one stream is received in a caller's thread */
};

/* What a filter's output at a time fits into, and for how many ways: to the session, to the peer.
 */
enum { LB_SCRATCH_SIZE = 64 << 10, LB_SCRATCH_WAYS = 2 };

struct lb_lane_options {
    const struct lb_rules *rules; /* alive as long as the lane */
    const int *listeners;         /* borrowed until close */
    size_t listener_count;
    unsigned streams; /* at most so many, those that wait for their turn included */
};

/* Returns 0, or -errno with error filled and nothing left behind. */
int lb_lane_open(struct lb_lane *lane, const struct lb_lane_options *options,
                 struct lb_error *error);

/* The backend alone, whose thread may end before the rest is looked at. */
void lb_lane_close_backend(struct lb_lane *lane);
void lb_lane_close(struct lb_lane *lane);

#endif
