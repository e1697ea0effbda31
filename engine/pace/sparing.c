/* SPDX-License-Identifier: MIT */
#include "sparing.h"

/* Windows: with all ACKs, and those that spare some, from as many on; holds of some seconds at
 * first, and of a few minutes after many losses. */
enum { LOOK = 16, STRETCH_MAX = 1024, HOLD = 2048, HOLD_MAX = 65536 };

/* Of the throughput: the ACKs that are spared are a part of what gathering saves. */
static const double KEPT = 0.97;

void lb_sparing_init(struct lb_sparing *sparing)
{
    *sparing = (struct lb_sparing){.stretch = LOOK, .hold.next = HOLD};
}

void lb_sparing_forget(struct lb_sparing *sparing)
{
    lb_guard_forget(&sparing->guard);
    sparing->spares = false;
    sparing->age = 0;
}

void lb_sparing_suspend(struct lb_sparing *sparing)
{
    lb_sparing_forget(sparing);
    sparing->stretch = LOOK;
    lb_backoff_begin(&sparing->hold, HOLD_MAX);
}

/* A stretch with all ACKs is over. */
static void judge(struct lb_sparing *sparing)
{
    switch (lb_guard_judge(&sparing->guard, KEPT)) {
    case LB_GUARD_LOSSES:
        lb_sparing_suspend(sparing);
        return;
    case LB_GUARD_WELL:
        sparing->stretch *= sparing->stretch < STRETCH_MAX ? 2 : 1;
        break;
    case LB_GUARD_UNSEEN:
    case LB_GUARD_DOUBT:
        break;
    }
    sparing->spares = true;
    sparing->age = 0;
}

bool lb_sparing_decide(struct lb_sparing *sparing, uint64_t bytes, uint64_t ns)
{
    if (lb_backoff_pass(&sparing->hold))
        return false;
    sparing->age++;
    lb_guard_saw(&sparing->guard, sparing->spares, bytes, ns);
    if (!sparing->spares && sparing->age > LOOK) {
        judge(sparing);
    } else if (sparing->spares && sparing->age > sparing->stretch) {
        sparing->spares = false;
        sparing->age = 0;
    }
    return sparing->spares;
}
