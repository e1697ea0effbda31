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
    unsigned max_entering;     /* streams whose preludes run at once */
    _Atomic unsigned entering; /* of all lanes */
};

/* How many streams may begin now. */
unsigned lb_gate_room(struct lb_gate *gate);

/* One stream begins: returns false if none may. */
bool lb_gate_claim(struct lb_gate *gate);

/* One stream has ended; counts: as one of those that may ever begin. */
void lb_gate_release(struct lb_gate *gate, bool counts);

/* All streams that were asked for have ended. */
bool lb_gate_finished(struct lb_gate *gate);

/* The prelude of one more may run: returns false if there are as many as may be. */
bool lb_gate_claim_entrance(struct lb_gate *gate);
void lb_gate_release_entrance(struct lb_gate *gate);

#endif
