/* SPDX-License-Identifier: MIT */
#include "half_closed.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TAKE_MAX = 32 };

void lb_half_closed_done(struct lb_half_closed *set)
{
    if (set->epoll)
        close(set->epoll - 1);
    *set = (struct lb_half_closed){0};
}

int lb_half_closed_add(struct lb_half_closed *set, struct lb_watch *watch)
{
    struct epoll_event event = {.events = watch->events | EPOLLONESHOT, .data.ptr = watch};

    if (!set->epoll)
        set->epoll = epoll_create1(EPOLL_CLOEXEC) + 1;
    if (!set->epoll || epoll_ctl(set->epoll - 1, EPOLL_CTL_ADD, watch->fd, &event) < 0)
        return -errno;
    watch->half_closed = true;
    set->count++;
    return 0;
}

void lb_half_closed_remove(struct lb_half_closed *set, struct lb_watch *watch)
{
    epoll_ctl(set->epoll - 1, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->half_closed = false;
    set->count--;
}

unsigned lb_half_closed_take(struct lb_half_closed *set, struct lb_watch **ready, unsigned max)
{
    struct epoll_event events[TAKE_MAX];
    int count = epoll_wait(set->epoll - 1, events, (int)(max < TAKE_MAX ? max : TAKE_MAX), 0);

    if (count < 0)
        return 0; /* EINTR: the ring says so again */
    for (int i = 0; i < count; i++) {
        ready[i] = events[i].data.ptr;
        lb_half_closed_remove(set, ready[i]);
    }
    return (unsigned)count;
}
