/* SPDX-License-Identifier: MIT */
/*
 * Watches of sockets whose peers have half-closed. A poll of io_uring always reports POLLRDHUP too
 * (io_uring/poll.c, IO_POLL_UNMASK), so that one for POLLOUT completes at once, for ever, while
 * such a peer reads nothing. epoll reports it only if asked: these watches wait in an epoll set,
 * and the ring polls that.
 */
#ifndef LB_HALF_CLOSED_H
#define LB_HALF_CLOSED_H

#include "watches.h"

struct lb_half_closed {
    int epoll;      /* plus one; 0: not needed yet */
    unsigned count; /* watches in it */
    bool armed;     /* the ring polls it */
};

void lb_half_closed_done(struct lb_half_closed *set);

/* The descriptor that the ring is to poll. */
static inline int lb_half_closed_fd(const struct lb_half_closed *set)
{
    return set->epoll - 1;
}

/* The watch's completion has reported nothing that it asked for: it waits here from now on. 0 or
 * -errno. */
int lb_half_closed_add(struct lb_half_closed *set, struct lb_watch *watch);
void lb_half_closed_remove(struct lb_half_closed *set, struct lb_watch *watch);

/* Takes out at most max that are ready. Returns how many. */
unsigned lb_half_closed_take(struct lb_half_closed *set, struct lb_watch **ready, unsigned max);

#endif
