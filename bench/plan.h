/* SPDX-License-Identifier: MIT */
/* One run, decided: what is sent, how much, from which core, and to whom. */
#ifndef PLAN_H
#define PLAN_H

#include "contender.h"
#include "workload.h"

struct options;

struct plan {
    const struct workload *workload;
    const struct contender *contender; /* NULL: a program outside */
    uint64_t stream_bytes;             /* of each stream */
    unsigned streams;
    unsigned at_once;
    double seconds;
    unsigned rate;
    size_t slot_size; /* 0: the contender's default */
    unsigned slots;
    unsigned gather_max_us; /* 0: the contender's; LB_NO_GATHER: none */
    size_t rcvbuf;          /* 0: the kernel's own tuning */
    const char *congestion;
    int receiver_core, sender_core; /* negative: any */
    const char *directory;          /* where runs may write */
    unsigned limit_s;               /* after this the run has failed */
    bool verify;                    /* compare content; time is no matter */
    bool count_syscalls;            /* likewise */
};

/* Sizes come from the workload and the options. param may be NULL. */
void plan_make(struct plan *plan, const struct workload *workload, const struct param *param,
               const struct options *options);

/* The same run with about 1/divisor of the work. */
void plan_shrink(struct plan *plan, unsigned divisor);

/* Payload of all streams together. */
static inline uint64_t plan_bytes(const struct plan *plan)
{
    return plan->stream_bytes * plan->streams;
}

#endif
