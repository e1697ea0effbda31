/* SPDX-License-Identifier: MIT */
/* Counts the system calls of this process, where the kernel allows it: the tracepoint
 * raw_syscalls:sys_enter, as `perf stat` counts it. Counting makes every call slower. */
#ifndef SYSCALLS_H
#define SYSCALLS_H

#include <stdint.h>

/* Counts this thread and all that it will start. Returns a descriptor that the caller owns, or
 * -errno where it is not allowed. */
int syscalls_open(void);

/* How many so far; negative: -errno. */
int64_t syscalls_read(int fd);

#endif
