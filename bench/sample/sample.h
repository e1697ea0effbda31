/* SPDX-License-Identifier: MIT */
/* What came of one trial: of a receiver and a sender, each a fresh process on its core, from the
 * first connection to the last end. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "arrivals.h"
#include "kernel_memory.h"
#include "receiver.h"
#include "sender.h"

#include <stdbool.h>
#include <sys/types.h>

enum { SAMPLE_WHY_SIZE = 320 };

struct idle {
    uint64_t resident_before, resident; /* bytes */
    struct kernel_memory kernel_before, kernel;
    double cpu_s_per_s, connect_cpu_s;
};

/* In memory that the three processes share. */
struct sample {
    struct arrivals arrivals;
    struct receiver_report receiver;
    struct sender_report sender;
    struct idle idle;
    double host_gap_s; /* in which neither core had a processor; negative: not known */
    pid_t receiver_pid, sender_pid;
    char why[SAMPLE_WHY_SIZE]; /* it failed */
};

/* Returns NULL when out of memory. */
struct sample *sample_open(void);
void sample_close(struct sample *sample);

/* Keeps why, unless something was said before. Returns -1. */
int sample_fail(struct sample *sample, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For a workload's observe: has the sender or the receiver ended already? */
bool sample_child_ended(const struct sample *sample);

/* Seconds from just before the first connection to the last end. */
double sample_wall(const struct sample *sample);

/* CPU-seconds of all cores in that time, whoever spent them. */
double sample_system_cpu(const struct sample *sample);

/* Of one core; side is of enum side. */
double sample_core_cpu(const struct sample *sample, unsigned side);

#endif
