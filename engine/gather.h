/* SPDX-License-Identifier: MIT */
/*
 * Gathering: under load, waking up costs more than copying. A worker that has no time to spare lets
 * bytes gather for a moment before it receives; one that has waits for nothing.
 *
 * The controller looks at windows of a few milliseconds. It knows the share of a core that the
 * worker used, the bytes it received and its turns, and from that alone decides how long the next
 * turns may gather: no clock, no socket, so it can be tested with any trace of arrivals.
 */
#ifndef LB_GATHER_H
#define LB_GATHER_H

#include <stdbool.h>
#include <stdint.h>

struct lb_gather {
    uint64_t max_ns; /* never longer; 0: off */
    uint64_t target; /* bytes a turn worth gathering: what the cache holds */
    uint64_t ns;     /* what a turn gathers now */

    /* While gathering: the load that began it, and how many windows ago that was. */
    uint64_t begin_share; /* per cent of a core */
    uint64_t begin_rate;  /* bytes a second */
    unsigned age;

    uint64_t per_turn;  /* bytes, in the window before ns was raised; 0: it was not */
    unsigned hold;      /* windows to go before raising it again */
    unsigned next_hold; /* how many, should the next raise not pay either */
};

/* What happened in one window. */
struct lb_gather_window {
    uint64_t wall_ns;
    uint64_t cpu_ns; /* of the worker's thread */
    uint64_t turns;
    uint64_t bytes;
};

enum { LB_GATHER_WINDOW_NS = 2000000 }; /* a window is at least so long */

void lb_gather_init(struct lb_gather *gather, uint64_t max_ns, uint64_t target);

/* Decides anew. Returns how many ns the turns of the next window may gather. */
uint64_t lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window);

#endif
