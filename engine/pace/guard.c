/* SPDX-License-Identifier: MIT */
#include "guard.h"

enum { LEFT_OUT = 4, BELIEVED = 3 }; /* windows; losses in a row */

void lb_guard_saw(struct lb_guard *guard, bool saving, uint64_t bytes, uint64_t ns)
{
    struct lb_intake *intake = &guard->before;

    guard->same = saving == guard->saving ? guard->same + 1 : 0;
    guard->saving = saving;
    if (guard->same < LEFT_OUT)
        return;
    if (saving)
        intake = &guard->during;
    else if (guard->during.ns)
        intake = &guard->after;
    lb_intake_add(intake, bytes, ns);
}

void lb_guard_forget(struct lb_guard *guard)
{
    *guard = (struct lb_guard){0};
}

static bool has_lost(const struct lb_guard *guard, double kept)
{
    double during = lb_intake_rate(&guard->during) / kept;

    return during < lb_intake_rate(&guard->before) && during < lb_intake_rate(&guard->after);
}

enum lb_guard_finding lb_guard_judge(struct lb_guard *guard, double kept)
{
    bool whole = guard->before.ns && guard->during.ns && guard->after.ns;
    bool lost = whole && has_lost(guard, kept);

    if (guard->after.ns) {
        guard->before = guard->after;
        guard->during = guard->after = (struct lb_intake){0};
    }
    if (!whole)
        return LB_GUARD_UNSEEN;
    guard->losses = lost ? guard->losses + 1 : 0;
    if (guard->losses < BELIEVED)
        return guard->losses ? LB_GUARD_DOUBT : LB_GUARD_WELL;
    guard->losses = 0;
    return LB_GUARD_LOSSES;
}
