/* SPDX-License-Identifier: MIT */
#include "watches.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct lb_watch *lb_watches_find(const struct lb_watches *watches, int fd)
{
    return fd >= 0 && fd < watches->fds ? watches->by_fd[fd] : NULL;
}

static bool make_room(struct lb_watches *watches, int fd)
{
    int fds = fd + 64;
    struct lb_watch **by_fd;

    if (fd < watches->fds)
        return true;
    by_fd = realloc(watches->by_fd, (size_t)fds * sizeof(struct lb_watch *));
    if (!by_fd)
        return false;
    memset(by_fd + watches->fds, 0, (size_t)(fds - watches->fds) * sizeof(struct lb_watch *));
    watches->by_fd = by_fd;
    watches->fds = fds;
    return true;
}

struct lb_watch *lb_watches_add(struct lb_watches *watches, int fd, unsigned events, void *cookie)
{
    struct lb_watch *watch;

    assert(fd >= 0 && !lb_watches_find(watches, fd));
    if (!make_room(watches, fd))
        return NULL;
    watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    watch->fd = fd;
    watch->events = events;
    watch->cookie = cookie;
    watch->next = watches->all;
    if (watches->all)
        watches->all->previous = watch;
    watches->all = watch;
    watches->by_fd[fd] = watch;
    return watch;
}

void lb_watches_withdraw(struct lb_watches *watches, struct lb_watch *watch)
{
    assert(!watch->withdrawn);
    watch->withdrawn = true;
    watches->by_fd[watch->fd] = NULL;
}

void lb_watches_remove(struct lb_watches *watches, struct lb_watch *watch)
{
    if (!watch->withdrawn)
        watches->by_fd[watch->fd] = NULL;
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        watches->all = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
    free(watch);
}

void lb_watches_done(struct lb_watches *watches)
{
    struct lb_watch *next;

    for (struct lb_watch *watch = watches->all; watch; watch = next) {
        next = watch->next;
        free(watch);
    }
    free(watches->by_fd);
    *watches = (struct lb_watches){0};
}
