/* SPDX-License-Identifier: MIT */
/*
 * A stream's limits: how many bytes, how long, how slow. Each ends its own stream alone.
 *
 * Time costs nothing per byte: a worker looks at its streams in sweeps, some of them within the
 * shortest limit, and compares the bytes of each with what the last sweep saw. Without a limit of
 * time there is no sweep. Judging knows no clock and no socket: it can be tested with any trace.
 */
#ifndef LB_LIMIT_H
#define LB_LIMIT_H

#include <lastbyte/lastbyte.h>

/* 0 is "none" throughout, so that an engine without limits needs no setting up. */
struct lb_limits {
    uint64_t max_bytes;
    uint64_t idle_ns, max_time_ns;
    uint64_t min_rate; /* bytes a second, over each window */
    uint64_t window_ns;
    uint64_t period_ns; /* between two sweeps */
};

/* What the sweeps remember of one stream. Begins zeroed but for begun_ns. */
struct lb_pace {
    uint64_t begun_ns;
    uint64_t bytes;        /* at the last sweep */
    uint64_t idle_ns;      /* the peer could have sent, and did not */
    uint64_t window_ns;    /* of this window have passed */
    uint64_t window_bytes; /* at its beginning */
    bool held;             /* we held it up at some time since the last sweep */
};

/* Which limit a stream passed: its end, and the reason's name. */
struct lb_breach {
    enum lb_end end;
    const char *why; /* static */
};

extern const struct lb_breach lb_breach_max_bytes;

void lb_limits_init(struct lb_limits *limits, const struct lb_config *config);

/* How many more bytes a stream may have. */
static inline uint64_t lb_limits_room(const struct lb_limits *limits, uint64_t bytes)
{
    return limits->max_bytes ? limits->max_bytes - bytes : UINT64_MAX;
}

/* One stream in a sweep: it has that many bytes by now, and elapsed_ns have passed since the last
 * sweep. Time in which we held the stream up is not the peer's fault, and counts for max_time only.
 * Returns the limit that it passed, or NULL. */
const struct lb_breach *lb_limits_judge(const struct lb_limits *limits, struct lb_pace *pace,
                                        uint64_t bytes, uint64_t elapsed_ns, uint64_t now_ns);

#endif
