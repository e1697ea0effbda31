/* SPDX-License-Identifier: MIT */
/* One run: a receiver and a sender, each a fresh process on its core, from the first connection to
 * the last end. */
#ifndef RUN_H
#define RUN_H

#include "ledger.h"
#include "plan.h"
#include "receiver.h"
#include "sender.h"

enum { RUN_WHY_SIZE = 320 };

struct idle {
    uint64_t resident_before, resident; /* bytes */
    double cpu_s_per_s, connect_cpu_s;
};

/* In memory that the three processes share. */
struct run {
    struct ledger ledger;
    struct receiver_report receiver;
    struct sender_report sender;
    struct idle idle;
    pid_t receiver_pid, sender_pid;
    char why[RUN_WHY_SIZE]; /* it failed */
};

/* Returns NULL when out of memory. */
struct run *run_open(void);
void run_close(struct run *run);

/* Runs plan and checks what arrived. Returns 0, or -1 with why. */
int run_execute(struct run *run, const struct plan *plan);

/* Keeps why, unless something was said before. Returns -1. */
int run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For a workload's observe: has the sender or the receiver ended already? */
bool run_child_ended(const struct run *run);

/* Seconds from just before the first connection to the last end. */
double run_wall(const struct run *run);

/* CPU-seconds of all cores in that time, whoever spent them. */
double run_system_cpu(const struct run *run);

#endif
