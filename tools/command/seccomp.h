/* SPDX-License-Identifier: MIT */
#ifndef SECCOMP_H
#define SECCOMP_H

#include <stdbool.h>

/* The filter of system calls, seccomp(2). */

/* 0 if it would be in force here, or -errno. */
int seccomp_check(void);

/* Why not, and what to do, from an error of seccomp_check. A static string. */
const char *seccomp_why(int error);

/* Lets this thread, and those that it makes, use the system calls of an engine that is open, with
 * network also those that make outgoing connections, and no others: those fail with ENOSYS. Returns
 * 0 or -errno. */
int seccomp_enforce(bool network);

#endif
