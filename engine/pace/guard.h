/* SPDX-License-Identifier: MIT */
/*
 * The guard over throughput: what a receiver saves must not be what its peers pay. Rates go up and
 * down by themselves, and a single window says nothing. So a stretch of saving (gathering, sparing
 * ACKs) stands between plain windows: it has cost throughput if fewer bytes came a second than in
 * those before and in those after it, and that three times, one stretch after the other.
 */
#ifndef LB_GUARD_H
#define LB_GUARD_H

#include "intake.h"

#include <stdbool.h>

struct lb_guard {
    struct lb_intake before, during, after; /* the stretch */
    unsigned losses;                        /* one after the other */
    bool saving;                            /* the last window, */
    unsigned same;                          /* and so many before it */
};

/* What came in a window, in which it was saved or not. The first ones of either are left out: after
 * gathering, what had waited comes besides, and a worker that is short of time takes a while. */
void lb_guard_saw(struct lb_guard *guard, bool saving, uint64_t bytes, uint64_t ns);

/* The load is another now: what was seen can't be compared with what will be. */
void lb_guard_forget(struct lb_guard *guard);

enum lb_guard_finding {
    LB_GUARD_UNSEEN, /* there was no stretch between plain windows */
    LB_GUARD_WELL,   /* nothing was lost */
    LB_GUARD_DOUBT,  /* it looks as if, for the first or second time */
    LB_GUARD_LOSSES, /* and for the third: saving costs throughput */
};

/* The plain windows after a stretch are over. The next stretch comes behind them. kept: what part
 * of the throughput is to be left, for what is saved. */
enum lb_guard_finding lb_guard_judge(struct lb_guard *guard, double kept);

#endif
