/* SPDX-License-Identifier: MIT */
/*
 * Whether gathering lifts throughput, though the worker has time to spare: peers who are busy, and
 * who pay for waking it, send faster where they needn't. A few windows now and then tell: so few
 * that of a hundred messages that come at a rate of their own less than one waits.
 */
#ifndef LB_LIFT_H
#define LB_LIFT_H

#include "backoff.h"
#include "intake.h"

#include <stdbool.h>

struct lb_lift {
    struct lb_intake plain, tried;
    bool trying;
    unsigned age;           /* windows that trying has lasted, or not trying */
    struct lb_backoff hold; /* before the next try */
};

void lb_lift_init(struct lb_lift *lift);

/* The load is another now. */
void lb_lift_forget(struct lb_lift *lift);

/* After a window without gathering. Returns whether to try it in the next. */
bool lb_lift_try(struct lb_lift *lift, uint64_t bytes, uint64_t ns);

enum lb_lift_finding { LB_LIFT_TRYING, LB_LIFT_VAIN, LB_LIFT_FOUND };

/* After a window of trying. */
enum lb_lift_finding lb_lift_judge(struct lb_lift *lift, uint64_t bytes, uint64_t ns);

#endif
