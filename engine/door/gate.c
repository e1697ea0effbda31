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

bool lb_gate_claim(struct lb_gate *gate)
{
    if (atomic_fetch_add(&gate->active, 1) >= gate->max_streams) {
        atomic_fetch_sub(&gate->active, 1);
        return false;
    }
    if (atomic_fetch_add(&gate->claimed, 1) >= gate->count && gate->count) {
        atomic_fetch_sub(&gate->claimed, 1);
        atomic_fetch_sub(&gate->active, 1);
        return false;
    }
    return true;
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
    if (atomic_fetch_add(&gate->entering, 1) < gate->max_entering)
        return true;
    atomic_fetch_sub(&gate->entering, 1);
    return false;
}

void lb_gate_release_entrance(struct lb_gate *gate)
{
    atomic_fetch_sub(&gate->entering, 1);
}
