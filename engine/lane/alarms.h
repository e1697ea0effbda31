/* SPDX-License-Identifier: MIT */
/*
 * Alarms: all deadlines of a lane, its own and its streams', in one heap. Who is to be called is
 * the owner's to know: an alarm is a member of what it belongs to.
 *
 * A pairing heap in the alarms themselves (Fredman, Sedgewick, Sleator and Tarjan, 1986): nothing
 * is allocated, setting costs a few instructions, taking the earliest out O(log n) over many.
 * Nothing is done per byte, and without an alarm no clock is read.
 */
#ifndef LB_ALARMS_H
#define LB_ALARMS_H

#include <stdint.h>

/* Zeroed: not set. */
struct lb_alarm {
    uint64_t when_ns; /* of lb_clock_ns; 0: not set */
    struct lb_alarm *child, *next;
    struct lb_alarm *previous; /* or the parent, of an eldest child */
};

struct lb_alarms {
    struct lb_alarm *root; /* the earliest; NULL: none is set */
};

#define LB_NEVER UINT64_MAX

/* Sets it, or moves it; when_ns LB_NEVER unsets it. */
void lb_alarm_set(struct lb_alarms *alarms, struct lb_alarm *alarm, uint64_t when_ns);

/* When the earliest is due, or LB_NEVER. */
static inline uint64_t lb_alarms_next_ns(const struct lb_alarms *alarms)
{
    return alarms->root ? alarms->root->when_ns : LB_NEVER;
}

/* Takes out one that is due at now_ns, the earliest first: it is then not set. NULL: none is. */
struct lb_alarm *lb_alarms_take_due(struct lb_alarms *alarms, uint64_t now_ns);

static inline uint64_t lb_earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

#endif
