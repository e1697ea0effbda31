/* SPDX-License-Identifier: MIT */
/* The throttle: a lane's streams that have had as many bytes as their rate allows. Nothing is
 * received from them for a while, so that their peers' windows close. It knows no clock: whoever
 * asks says what time it is. */
#ifndef LB_THROTTLE_H
#define LB_THROTTLE_H

#include "rate.h"

#include <stdbool.h>
#include <stddef.h>

/* What all lanes share. */
struct lb_throttle_limits {
    struct lb_rate stream, total;
    _Atomic uint64_t total_ns; /* the account of all streams together */
};

/* A stream's part. */
struct lb_throttled {
    _Atomic uint64_t account_ns;
    struct lb_throttled *next, *previous;
};

/* A lane's: who waits, the longest first. */
struct lb_throttle {
    struct lb_throttle_limits *limits;
    struct lb_throttled *first, *last;
    uint64_t look_ns; /* when some of them may go on */
};

void lb_throttle_limits_init(struct lb_throttle_limits *limits, uint64_t rate, uint64_t total_rate);

/* The stream has had so many bytes, whatever becomes of them. Returns when there may be more: now,
 * or later. */
uint64_t lb_throttle_pay(struct lb_throttle *throttle, struct lb_throttled *throttled, size_t bytes,
                         uint64_t now_ns);

/* Returns whether the stream may have a piece at once; if not, it waits. */
bool lb_throttle_pass(struct lb_throttle *throttle, struct lb_throttled *throttled,
                      uint64_t now_ns);

/* It has had more than its own rate allows: it waits for that, and not, or not only, for the total.
 */
bool lb_throttle_owes(const struct lb_throttled *throttled, uint64_t now_ns);

/* The stream waits no more. */
void lb_throttle_leave(struct lb_throttle *throttle, struct lb_throttled *throttled);

/* Takes out those who may go on now, for a piece of that many bytes each; they are chained by next,
 * the longest waiting first. Call again at look_ns, if somebody still waits. */
struct lb_throttled *lb_throttle_look(struct lb_throttle *throttle, size_t piece, uint64_t now_ns);

#endif
