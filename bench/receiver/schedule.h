/* SPDX-License-Identifier: MIT */
/* When a receiver let bytes gather, for how long, and whether it spared ACKs meanwhile: recorded of
 * one, so that another may do likewise. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCHEDULE_MAX = 4096 };

struct schedule_step {
    uint64_t from_ns; /* since it was ready */
    uint64_t gather_ns;
    bool spares; /* ACKs of small messages */
};

/* All zero is one that never gathers. */
struct schedule {
    size_t count; /* what is beyond SCHEDULE_MAX is not kept: the last step goes on */
    struct schedule_step steps[SCHEDULE_MAX];
};

/* In memory that processes share, all zero; NULL when out of memory. */
struct schedule *schedule_open(void);
void schedule_close(struct schedule *schedule);

/* From now on. Keeps changes only. */
void schedule_note(struct schedule *schedule, const struct schedule_step *step);

/* What holds at a moment; *next is the caller's place in it, 0 at first. */
struct schedule_step schedule_at(const struct schedule *schedule, uint64_t ns, size_t *next);

#endif
