/* SPDX-License-Identifier: MIT */
#include "lift.h"

/* Windows: plain ones to compare with, those of a try, of which the first is no measure, those
 * before the first try, and between two, from some seconds to some minutes. */
enum { PLAIN = 4, TRY = 2, FIRST = 64, HOLD = 2048, HOLD_MAX = 65536 };

/* So much more a second than before is no noise. */
static const double FOUND = 1.3;

void lb_lift_init(struct lb_lift *lift)
{
    *lift = (struct lb_lift){.hold = FIRST, .next_hold = HOLD};
}

void lb_lift_forget(struct lb_lift *lift)
{
    lift->plain = lift->tried = (struct lb_guard_sum){0};
    lift->trying = false;
    lift->age = 0;
}

bool lb_lift_try(struct lb_lift *lift, uint64_t bytes, uint64_t ns)
{
    if (lift->hold > 0) {
        lift->hold--;
        return false;
    }
    lift->plain.bytes += bytes;
    lift->plain.ns += ns;
    lift->trying = ++lift->age >= PLAIN;
    if (lift->trying)
        lift->age = 0;
    return lift->trying;
}

static double rate(const struct lb_guard_sum *sum)
{
    return (double)sum->bytes / (double)sum->ns;
}

enum lb_lift_finding lb_lift_judge(struct lb_lift *lift, uint64_t bytes, uint64_t ns)
{
    bool found;

    if (lift->age++ > 0) {
        lift->tried.bytes += bytes;
        lift->tried.ns += ns;
    }
    if (lift->age < TRY)
        return LB_LIFT_TRYING;
    found = rate(&lift->tried) >= FOUND * rate(&lift->plain);
    lift->hold = found ? HOLD : lift->next_hold;
    if (found)
        lift->next_hold = HOLD;
    else if (lift->next_hold < HOLD_MAX)
        lift->next_hold *= 2;
    lb_lift_forget(lift);
    return found ? LB_LIFT_FOUND : LB_LIFT_VAIN;
}
