/* SPDX-License-Identifier: MIT */
/* Descriptors that sinks wait for, through a ring: by polls of its own, or by an epoll set where
 * those can't wait (half_closed.h). */
#ifndef LB_URING_WATCHES_H
#define LB_URING_WATCHES_H

#include "half_closed.h"
#include "requests.h"

struct lb_uring_watches {
    struct lb_watches all;
    struct lb_half_closed half_closed;
};

void lb_uring_watches_done(struct lb_uring_watches *watches);

/* As the contract's watch. */
int lb_uring_watch(struct lb_uring_watches *watches, struct io_uring *ring, int fd, unsigned events,
                   void *cookie);

/* A completion of kind LB_REQUEST_WATCH, and one of LB_REQUEST_HALF_CLOSED. Return how many events
 * were written. */
unsigned lb_uring_watch_completed(struct lb_uring_watches *watches, struct io_uring *ring,
                                  const struct io_uring_cqe *cqe, struct lb_event *event);
unsigned lb_uring_half_closed_completed(struct lb_uring_watches *watches, struct io_uring *ring,
                                        struct lb_event *events, unsigned max);

#endif
