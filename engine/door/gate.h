/* SPDX-License-Identifier: MIT */
/* The gate: how many streams may be under way at once, and how many may ever begin. Shared by all
 * workers; touched once when a stream begins and once when it ends, never in between. */
#ifndef LB_GATE_H
#define LB_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lb_gate {
    unsigned max_streams;
    uint64_t count; /* 0: no limit */
    _Atomic unsigned active;
    _Atomic uint64_t claimed;
    _Atomic uint64_t ended;
};

/* How many streams may begin now. */
unsigned lb_gate_room(struct lb_gate *gate);

/* One stream begins: returns false if none may. */
bool lb_gate_claim(struct lb_gate *gate);

/* One stream has ended. */
void lb_gate_release(struct lb_gate *gate);

/* All streams that were asked for have ended. */
bool lb_gate_finished(struct lb_gate *gate);

#endif
