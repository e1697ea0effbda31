/* SPDX-License-Identifier: MIT */
/* What the workers of one engine share. Nothing in here changes while data flows. */
#ifndef LB_ENGINE_H
#define LB_ENGINE_H

#include "admission.h"
#include "committer.h"
#include "digest.h"
#include "error.h"
#include "gate.h"
#include "limit.h"
#include "listener.h"
#include "worker.h"

enum lb_stop_level {
    LB_RUNNING,
    LB_STOP_DRAIN, /* accept no more, let streams end */
    LB_STOP_NOW
};

struct lb_engine {
    struct lb_config config;
    const struct lb_sink *sink;
    const struct lb_backend *backend;
    struct lb_digest_method digest; /* of receipts; not chosen: none are wanted */
    struct lb_listener_list listeners;
    struct lb_worker *workers;
    unsigned worker_count;
    struct lb_committer committer;
    struct lb_gate gate;
    struct lb_limits limits;
    struct lb_throttle_limits throttle;
    struct lb_admission admission;
    uint64_t drain_ns;
    uint64_t gather_max_ns;
    _Atomic uint64_t last_id;
    _Atomic uint64_t accept_warned_ns; /* when it was last told that accepting pauses; else 0 */
    _Atomic unsigned at_door;          /* workers that may still accept */
    _Atomic int stop;                  /* of enum lb_stop_level */

    pthread_mutex_t note_lock;
    pthread_mutex_t running_lock;
    pthread_cond_t ended;
    _Atomic unsigned threads; /* that were started */
    unsigned running;         /* of them, under running_lock */
    bool started;
    _Atomic bool joined;
};

/* Says something to the person, if they want to hear it. From any thread. */
void lb_engine_note(struct lb_engine *engine, enum lb_note_level level, const char *format, ...)
    LB_PRINTF(3, 4);

static inline const struct lb_sink *lb_stream_sink(const struct lb_stream *stream)
{
    return stream->worker->engine->sink;
}

static inline void *lb_stream_context(const struct lb_stream *stream)
{
    return stream->worker->engine->config.sink_context;
}

static inline bool lb_engine_notes(const struct lb_engine *engine, enum lb_note_level level)
{
    return engine->config.note && level >= engine->config.note_level;
}

/* Every worker ends its streams now. From any thread. */
void lb_engine_stop_now(struct lb_engine *engine);

/* A worker accepts no more; after the last one the listeners are closed. True for that one. */
bool lb_engine_left_door(struct lb_engine *engine);

/* A stream has ended somewhere: workers that wait for room, or for the last end, look again. */
void lb_engine_stream_ended(struct lb_engine *engine);

#endif
