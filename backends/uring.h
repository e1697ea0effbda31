/* SPDX-License-Identifier: MIT */
/* What this process may do with io_uring, found out by doing it. */
#ifndef LB_URING_H
#define LB_URING_H

#include "backend.h"
#include "uring_compat.h"

/* Makes a ring as the backend uses it: not enabled yet, so that the thread that enables it becomes
 * its one issuer. Returns 0, or -errno with the cause and the remedy in error. */
int lb_uring_create(struct io_uring *ring, unsigned submissions, unsigned completions,
                    struct lb_error *error);

/* Receives something through a ring; see struct lb_backend. */
int lb_uring_probe(struct lb_probe *probe, struct lb_error *error);

/* Bundled receives work here: tried once per process. */
bool lb_uring_has_bundles(void);

#endif
