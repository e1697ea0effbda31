/* SPDX-License-Identifier: MIT */
/* Has this process forked? Then a child may hold copies of its descriptors, and closing one doesn't
 * close what is behind it. */
#ifndef LB_FORKED_H
#define LB_FORKED_H

#include <stdbool.h>

/* From now on forks are noticed. (Not those that only exec: vfork(2), posix_spawn(3).) */
void lb_forked_watch(void);

bool lb_forked(void);

#endif
