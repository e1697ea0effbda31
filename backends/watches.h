/* SPDX-License-Identifier: MIT */
/* Descriptors that sinks wait for, for a backend whose polls end later than they are withdrawn. */
#ifndef LB_WATCHES_H
#define LB_WATCHES_H

#include <stdbool.h>

struct lb_watch {
    int fd;
    unsigned events; /* POLLIN, POLLOUT */
    void *cookie;
    bool withdrawn;                   /* only its last completion is awaited */
    bool half_closed;                 /* it waits in half_closed.c's set, and not in the ring */
    struct lb_watch *next, *previous; /* in the list of all */
};

struct lb_watches {
    struct lb_watch **by_fd; /* the one that is not withdrawn, or NULL */
    int fds;
    struct lb_watch *all;
};

/* The watch of fd, or NULL. */
struct lb_watch *lb_watches_find(const struct lb_watches *watches, int fd);

/* A new watch for a descriptor that has none; aligned to 16. NULL: out of memory. */
struct lb_watch *lb_watches_add(struct lb_watches *watches, int fd, unsigned events, void *cookie);

/* The descriptor has no watch any more; the watch itself lives on until removed. */
void lb_watches_withdraw(struct lb_watches *watches, struct lb_watch *watch);

/* The watch's last completion has come. */
void lb_watches_remove(struct lb_watches *watches, struct lb_watch *watch);

/* Frees all. */
void lb_watches_done(struct lb_watches *watches);

#endif
