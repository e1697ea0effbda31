/* SPDX-License-Identifier: MIT */
/* What this process may do with io_uring, found out by doing it. */
#ifndef LB_URING_H
#define LB_URING_H

#include "backend.h"
#include "uring_compat.h"

/* Makes a ring as the backend uses it: not enabled yet, so that the thread that enables it becomes
 * its one issuer. polled: its descriptor polls as readable when something has completed, and
 * that interrupts the issuer if it waits elsewhere; else completions wait until it enters
 * (DEFER_TASKRUN). That would cost less, but neither the ring nor an eventfd registered with it is
 * sure to tell of them then: not of a poll of an eventfd, on 6.18. Returns 0, or -errno with the
 * cause and the remedy in error. */
int lb_uring_create(struct io_uring *ring, unsigned submissions, unsigned completions, bool polled,
                    struct lb_error *error);

/* Receives something through a ring; see struct lb_backend. */
int lb_uring_probe(struct lb_probe *probe, struct lb_error *error);

/* What newer kernels have, and some of them got wrong. */
struct lb_uring_modes {
    bool bundles;     /* one completion for a receive through several slots */
    bool incremental; /* several receives into one slot */
    bool restricted;  /* the kernel refuses what the backend doesn't use */
};

/* What passes a test here, tried once per process. */
struct lb_uring_modes lb_uring_modes(void);

/* What costs least of that. whole_slots: as in struct lb_backend_config. */
struct lb_uring_modes lb_uring_choose(bool whole_slots);

/* Sets a request up as a multishot receive into the provided slots. Its length stays 0: as a cap
 * for each turn (6.17) it made streams stall on 6.18, some in a hundred, on Unix sockets. */
void lb_uring_prep_receive(struct io_uring_sqe *sqe, int fd, struct lb_uring_modes modes);

#endif
