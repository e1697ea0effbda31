/* SPDX-License-Identifier: MIT */
/* How often something took how long: counted by any thread, read by any. Begins zeroed. */
#ifndef LB_DURATIONS_H
#define LB_DURATIONS_H

#include <lastbyte/lastbyte.h>

#include <stdatomic.h>

enum { LB_DURATION_LIMITS = 17 };

struct lb_durations {
    _Atomic uint64_t counts[LB_DURATION_LIMITS + 1];
    _Atomic uint64_t sum_ns;
};

void lb_durations_add(struct lb_durations *durations, uint64_t ns);

/* Adds what was counted to timing, which is zeroed, or was filled by this for others. */
void lb_durations_tell(const struct lb_durations *durations, struct lb_timing *timing);

#endif
