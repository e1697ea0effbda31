/* SPDX-License-Identifier: MIT */
/*
 * A stream's limits: how many bytes, how long, how slow. Each ends its own stream alone.
 *
 * Time costs nothing per byte: each stream is looked at at times, some of them within the shortest
 * limit, and its bytes are compared with what the last look saw. Without a limit of time there is
 * no look. Judging knows no clock and no socket: it can be tested with any trace.
 */
#ifndef LB_LIMIT_H
#define LB_LIMIT_H

#include "verdict.h"

/* 0 is "none" throughout, so that an engine without limits needs no setting up. */
struct lb_limits {
    uint64_t max_bytes;
    uint64_t idle_ns, max_time_ns;
    uint64_t min_rate; /* bytes a second, over each window */
    uint64_t window_ns;
    uint64_t period_ns; /* between two looks; 0: no limit of time */
};

/* What the looks remember of one stream. Begins zeroed but for the first two. */
struct lb_pace {
    uint64_t begun_ns;
    uint64_t looked_ns;    /* when it was looked at last, or begun_ns */
    uint64_t bytes;        /* that it had then */
    uint64_t idle_ns;      /* the peer could have sent, and did not */
    uint64_t window_ns;    /* of this window have passed */
    uint64_t window_bytes; /* at its beginning */
    bool held;             /* we held it up at some time since the last look */
};

/* What a stream that has more than max_bytes ends as. */
extern const struct lb_verdict lb_limits_max_bytes;

/* And one that is older than max_time. */
extern const struct lb_verdict lb_limits_max_time;

void lb_limits_init(struct lb_limits *limits, const struct lb_config *config);

/* How many more bytes a stream may have. */
static inline uint64_t lb_limits_room(const struct lb_limits *limits, uint64_t bytes)
{
    return limits->max_bytes ? limits->max_bytes - bytes : UINT64_MAX;
}

/* A look at a stream that has that many bytes by now. Time in which we held it up is not the peer's
 * fault, and counts for max_time only. Returns what passing a limit means, or NULL. */
const struct lb_verdict *lb_limits_judge(const struct lb_limits *limits, struct lb_pace *pace,
                                         uint64_t bytes, uint64_t now_ns);

#endif
