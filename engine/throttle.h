/* SPDX-License-Identifier: MIT */
/* The throttle: a worker's streams that have had as many bytes as their rate allows. Nothing is
 * received from them for a while, so that their peers' windows close. */
#ifndef LB_THROTTLE_H
#define LB_THROTTLE_H

#include "rate.h"

#include <stdbool.h>
#include <stddef.h>

struct lb_engine;
struct lb_stream;
struct lb_worker;

/* What the workers share. */
struct lb_throttle_limits {
    struct lb_rate stream, total;
    _Atomic uint64_t total_ns; /* the account of all streams together */
};

/* A stream's part. */
struct lb_throttled {
    _Atomic uint64_t account_ns;
    struct lb_stream *next, *previous;
};

/* A worker's: who waits, the longest first. */
struct lb_throttle {
    struct lb_stream *first, *last;
    uint64_t look_ns; /* when some of them may go on */
};

void lb_throttle_limits_init(struct lb_throttle_limits *limits, uint64_t rate, uint64_t total_rate);

static inline bool lb_throttle_limits_any(const struct lb_throttle_limits *limits)
{
    return limits->stream.limit > 0 || limits->total.limit > 0;
}

/* The stream has had a piece of that many bytes. Returns whether it may have another at once; if
 * not, it waits, and lb_delivery_resume will be called. */
bool lb_throttle_pass(struct lb_stream *stream, size_t bytes);

/* The stream waits no more. */
void lb_throttle_leave(struct lb_stream *stream);

/* Resumes those who may go on. */
void lb_throttle_look(struct lb_worker *worker);

#endif
