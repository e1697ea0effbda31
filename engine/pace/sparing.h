/* SPDX-License-Identifier: MIT */
/*
 * Whether ACKs that are worth sparing to the receiver are spared: only while that costs its peers
 * no throughput. Those that are left are sent as segments arrive, which on some paths (loopback) is
 * on the sender's time. While bytes are gathered anyway, stretches with all ACKs stand between such
 * that spare some, of the same length at first, and a guard compares them.
 */
#ifndef LB_SPARING_H
#define LB_SPARING_H

#include "backoff.h"
#include "guard.h"

struct lb_sparing {
    struct lb_guard guard;
    bool spares;            /* what the next window does */
    unsigned age;           /* windows since that began */
    unsigned stretch;       /* windows that spare before it looks again */
    struct lb_backoff hold; /* windows that spare nothing, after losses */
};

void lb_sparing_init(struct lb_sparing *sparing);

/* After a window in which sparing was worth it, with the bytes that came in it. Returns whether the
 * next one spares. */
bool lb_sparing_decide(struct lb_sparing *sparing, uint64_t bytes, uint64_t ns);

/* The load is another now. */
void lb_sparing_forget(struct lb_sparing *sparing);

/* Throughput has been lost, and somebody else found it. */
void lb_sparing_suspend(struct lb_sparing *sparing);

#endif
