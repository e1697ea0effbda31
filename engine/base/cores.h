/* SPDX-License-Identifier: MIT */
/* Cores that this process may use: by its affinity, by the quotas of its control groups (version
 * 2), or as a list names them. */
#ifndef LB_CORES_H
#define LB_CORES_H

#include <lastbyte/lastbyte.h>

#include <sched.h>

/* How many threads can run at once: usable cores, and no more than the quotas of its control groups
 * and those above pay for, rounded up. root: "", or where a test has put proc and sys/fs/cgroup. At
 * least 1. */
unsigned lb_cores_usable(const char *root);

/* "0-3,8": fills set. Returns 0, or -EINVAL with the list and the remedy in error; a core that this
 * process may not use is one too. */
int lb_cores_parse(cpu_set_t *set, const char *list, struct lb_error *error);

/* The core that the index-th of several threads has, going round. */
int lb_cores_pick(const cpu_set_t *set, unsigned index);

#endif
