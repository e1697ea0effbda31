/* SPDX-License-Identifier: MIT */
/*
 * Gathering: under load, waking up and receiving little at a time cost more than copying. A worker
 * that has no time to spare lets bytes gather for a moment before it receives; one that has waits
 * for nothing.
 *
 * Whoever is to save processor time (saving) gathers from a small load on. Else a worker does only
 * while it is short of time, and while the peers lose no throughput by it: a guard looks after
 * that, and then nothing is gathered for some time; another looks after spared ACKs. A small load
 * will do, under the same guard, where nobody waits for the next bytes: of bulk, which come in
 * pieces that are no messages, and of brief streams, which are over after one. And where a try
 * showed that throughput rises by it, as peers are busy with waking the worker.
 *
 * The controller looks at windows of a few milliseconds. It knows what the worker did in one, and
 * from that alone decides how long the next turns may gather: no clock, no socket, so it can be
 * tested with any trace of arrivals. Gathering pays in two ways, and it goes on for as long as one
 * of them still does: more receives share a wake-up, and a receive brings more bytes. Of messages
 * so small and rare that no two of a stream's merge, the ACKs cost most: acks.h spares some.
 */
#ifndef LB_GATHER_H
#define LB_GATHER_H

#include "backoff.h"
#include "guard.h"
#include "lift.h"
#include "sparing.h"

/* What happened in one window. */
struct lb_gather_window {
    uint64_t wall_ns;
    uint64_t cpu_ns; /* of the worker's thread */
    uint64_t polls;  /* each may have gathered before */
    uint64_t receives;
    uint64_t bytes;
    uint64_t streams; /* open at its end */
    uint64_t begun;   /* streams */
};

/* What a window says. */
struct lb_gather_load {
    uint64_t share;       /* per cent of a core */
    uint64_t rate;        /* bytes a second */
    double cost;          /* ns of a core's time for a byte */
    uint64_t per_poll;    /* bytes */
    uint64_t per_receive; /* bytes */
    uint64_t receives;    /* a poll */
    uint64_t interval_ns; /* between two receives from one stream, if all send alike */
    bool brief;           /* most streams are over after a receive */
};

struct lb_gather {
    uint64_t max_ns; /* never longer; 0: off */
    uint64_t target; /* bytes a turn worth gathering: what the cache holds */
    uint64_t ns;     /* what a turn gathers now */
    bool small;      /* while gathering: a receive brings so little that its ACK is spared */
    bool saving;     /* it gathers whenever that saves, whatever time and throughput are left */

    unsigned loaded;              /* windows with a load, one after another, before it began */
    uint64_t loaded_share;        /* of all these together */
    struct lb_gather_load plain;  /* the cheapest of these */
    struct lb_gather_load last;   /* the window before this one */
    struct lb_gather_load before; /* before ns was raised, while that is on trial */
    uint64_t before_ns;
    unsigned trial;               /* windows to go */
    unsigned age;                 /* windows since gathering began */
    struct lb_backoff raise_hold; /* before raising it again */

    /* Unless it is saving: */
    struct lb_guard guard;
    unsigned stretch;             /* windows of gathering that the guard is to see next */
    bool between;                 /* two stretches: plain windows, and the load is the same */
    uint64_t resume_ns;           /* what is gathered after them; 0: to be found anew */
    bool spared;                  /* ACKs, in this stretch */
    struct lb_backoff guard_hold; /* without gathering, as that costs throughput */
    struct lb_sparing sparing;
    struct lb_lift lift;
    bool lifted; /* what is gathered lifts throughput, whatever time the worker has to spare */
};

/* saving: by the peers' throughput and the worker's spare time nobody is stopped. */
void lb_gather_init(struct lb_gather *gather, uint64_t max_ns, uint64_t target, bool saving);

/* Is the window over, after so long and so many polls? */
bool lb_gather_is_over(const struct lb_gather *gather, uint64_t wall_ns, uint64_t polls);

/* Decides anew. Returns how many ns the turns of the next window may gather. */
uint64_t lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window);

#endif
