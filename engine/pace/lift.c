/* SPDX-License-Identifier: MIT */
#include "lift.h"

/* Windows: plain ones to compare with, those of a try, of which the first is no measure, those
 * before the first try, and between two, from some seconds to some minutes. */
enum { PLAIN = 4, TRY = 2, FIRST = 64, HOLD = 2048, HOLD_MAX = 65536 };

/* So much more a second than before is no noise. */
static const double FOUND = 1.3;

void lb_lift_init(struct lb_lift *lift)
{
    *lift = (struct lb_lift){.hold = {FIRST, HOLD}};
}

void lb_lift_forget(struct lb_lift *lift)
{
    lift->plain = lift->tried = (struct lb_intake){0};
    lift->trying = false;
    lift->age = 0;
}

bool lb_lift_try(struct lb_lift *lift, uint64_t bytes, uint64_t ns)
{
    if (lb_backoff_pass(&lift->hold))
        return false;
    lb_intake_add(&lift->plain, bytes, ns);
    lift->trying = ++lift->age >= PLAIN;
    if (lift->trying)
        lift->age = 0;
    return lift->trying;
}

enum lb_lift_finding lb_lift_judge(struct lb_lift *lift, uint64_t bytes, uint64_t ns)
{
    bool found;

    if (lift->age++ > 0)
        lb_intake_add(&lift->tried, bytes, ns);
    if (lift->age < TRY)
        return LB_LIFT_TRYING;
    found = lb_intake_rate(&lift->tried) >= FOUND * lb_intake_rate(&lift->plain);
    if (found)
        lift->hold = (struct lb_backoff){HOLD, HOLD};
    else
        lb_backoff_begin(&lift->hold, HOLD_MAX);
    lb_lift_forget(lift);
    return found ? LB_LIFT_FOUND : LB_LIFT_VAIN;
}
