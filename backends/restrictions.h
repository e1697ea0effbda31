/* SPDX-License-Identifier: MIT */
/* What a ring of ours may do: with the backend's operations alone, somebody who gets hold of the
 * process can't use the ring to get round a seccomp filter, which doesn't see a ring's operations.
 */
#ifndef LB_RESTRICTIONS_H
#define LB_RESTRICTIONS_H

#include "uring_compat.h"

/* From lb_uring_enable on the kernel (5.10) refuses every operation and registration that the
 * backend doesn't use. Once per ring, before that. Returns 0 or -errno. */
int lb_uring_restrict(struct io_uring *ring);

#endif
