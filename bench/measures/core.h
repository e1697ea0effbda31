/* SPDX-License-Identifier: MIT */
/* Processor cores, and which of them a process may use. */
#ifndef CORE_H
#define CORE_H

#include <stdbool.h>

/* The index-th core, from 0, that this process may use; the last if there are fewer. */
int core_usable(int index);

bool core_is_usable(int core);

/* Keeps the calling thread, and those it will start, on one core. Returns 0 or -errno. */
int core_pin(int core);

#endif
