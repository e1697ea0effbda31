/* SPDX-License-Identifier: MIT */
#include "uring_watches.h"

#include <errno.h>
#include <poll.h>

void lb_uring_watches_done(struct lb_uring_watches *watches)
{
    lb_watches_done(&watches->all);
    lb_half_closed_done(&watches->half_closed);
}

static void withdraw(struct lb_uring_watches *watches, struct io_uring *ring,
                     struct lb_watch *watch)
{
    if (watch->half_closed) {
        lb_half_closed_remove(&watches->half_closed, watch);
        lb_watches_remove(&watches->all, watch);
    } else {
        lb_watches_withdraw(&watches->all, watch);
        lb_request_cancel_watch(ring, watch);
    }
}

int lb_uring_watch(struct lb_uring_watches *watches, struct io_uring *ring, int fd, unsigned events,
                   void *cookie)
{
    struct lb_watch *watch = lb_watches_find(&watches->all, fd);

    if (watch)
        withdraw(watches, ring, watch);
    if (events == 0)
        return 0;
    watch = lb_watches_add(&watches->all, fd, events, cookie);
    if (!watch)
        return -ENOMEM;
    lb_request_watch(ring, watch);
    return 0;
}

/* One poll of the set is under way while anybody waits in it. */
static void arm(struct lb_half_closed *set, struct io_uring *ring)
{
    if (set->armed || set->count == 0)
        return;
    set->armed = true;
    lb_request_half_closed(ring, lb_half_closed_fd(set));
}

/* It reports nothing that was asked for, and would do so again at once. */
static bool is_futile(const struct lb_watch *watch, int result)
{
    return result >= 0 && !(result & (int)(watch->events | POLLERR | POLLHUP | POLLNVAL));
}

static struct lb_event ready(const struct lb_watch *watch)
{
    return (struct lb_event){.type = LB_EVENT_READY, .cookie = watch->cookie};
}

unsigned lb_uring_watch_completed(struct lb_uring_watches *watches, struct io_uring *ring,
                                  const struct io_uring_cqe *cqe, struct lb_event *event)
{
    struct lb_watch *watch = lb_request_subject(cqe);
    bool told = !watch->withdrawn;

    if (told && is_futile(watch, cqe->res) &&
        lb_half_closed_add(&watches->half_closed, watch) == 0) {
        arm(&watches->half_closed, ring);
        return 0;
    }
    if (told)
        *event = ready(watch);
    lb_watches_remove(&watches->all, watch);
    return told;
}

unsigned lb_uring_half_closed_completed(struct lb_uring_watches *watches, struct io_uring *ring,
                                        struct lb_event *events, unsigned max)
{
    struct lb_watch *taken[LB_EVENTS_MIN];
    unsigned count = lb_half_closed_take(&watches->half_closed, taken,
                                         max < LB_EVENTS_MIN ? max : LB_EVENTS_MIN);

    for (unsigned i = 0; i < count; i++) {
        events[i] = ready(taken[i]);
        lb_watches_remove(&watches->all, taken[i]);
    }
    watches->half_closed.armed = false;
    arm(&watches->half_closed, ring);
    return count;
}
