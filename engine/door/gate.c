/* SPDX-License-Identifier: MIT */
#include "gate.h"

unsigned lb_gate_room(struct lb_gate *gate)
{
    unsigned active = atomic_load(&gate->active);
    unsigned room = active < gate->max_streams ? gate->max_streams - active : 0;
    uint64_t claimed = atomic_load(&gate->claimed);

    if (gate->count && claimed + room > gate->count)
        room = claimed < gate->count ? (unsigned)(gate->count - claimed) : 0;
    return room;
}

/* Counted only if it may be: whoever looked in between would find no room where there is some, and
 * nobody would wake him. */
static bool take_one(_Atomic unsigned *count, unsigned most)
{
    unsigned taken = atomic_load(count);

    while (taken < most)
        if (atomic_compare_exchange_weak(count, &taken, taken + 1))
            return true;
    return false;
}

static bool take_of_count(struct lb_gate *gate)
{
    uint64_t claimed = atomic_load(&gate->claimed);

    while (!gate->count || claimed < gate->count)
        if (atomic_compare_exchange_weak(&gate->claimed, &claimed, claimed + 1))
            return true;
    return false;
}

bool lb_gate_claim(struct lb_gate *gate)
{
    if (!take_one(&gate->active, gate->max_streams))
        return false;
    if (take_of_count(gate))
        return true;
    atomic_fetch_sub(&gate->active, 1);
    return false;
}

void lb_gate_release(struct lb_gate *gate, bool counts)
{
    if (!counts)
        atomic_fetch_sub(&gate->claimed, 1);
    atomic_fetch_sub(&gate->active, 1);
    if (counts)
        atomic_fetch_add(&gate->ended, 1);
}

bool lb_gate_finished(struct lb_gate *gate)
{
    return gate->count && atomic_load(&gate->ended) >= gate->count;
}

bool lb_gate_claim_entrance(struct lb_gate *gate)
{
    return take_one(&gate->entering, gate->max_entering);
}

void lb_gate_release_entrance(struct lb_gate *gate)
{
    atomic_fetch_sub(&gate->entering, 1);
}
