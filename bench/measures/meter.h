/* SPDX-License-Identifier: MIT */
/* What a process has spent, and what the whole machine has. */
#ifndef METER_H
#define METER_H

#include <stdint.h>
#include <sys/types.h>

/* Of the calling process with all its threads, also those that ended, since it began. */
struct meter {
    double user_s, system_s;
    double rss_kib;  /* the most it ever had resident */
    double switches; /* times it waited for something */
};

void meter_read(struct meter *meter);

/* What was spent from before to after; the peak of memory is after's. */
struct meter meter_between(const struct meter *before, const struct meter *after);

static inline double meter_cpu(const struct meter *meter)
{
    return meter->user_s + meter->system_s;
}

/* Of all cores since the machine started: spent on anything, and taken away by the hypervisor. Of
 * two of them, what was spent, interrupts included. */
struct machine_time {
    double busy_s, steal_s;
    double core_busy_s[2];
};

/* Returns 0, or -errno if /proc/stat can't be understood. */
int machine_time_read(struct machine_time *time, const int cores[2]);

/* Bytes of user space that another process has resident. Returns 0 or -errno. */
int meter_resident(pid_t pid, uint64_t *bytes);

/* CPU time of another process with all its threads. Returns 0 or -errno. */
int meter_process_cpu(pid_t pid, uint64_t *ns);

#endif
