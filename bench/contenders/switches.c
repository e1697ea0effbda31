/* SPDX-License-Identifier: MIT */
#include "switches.h"

#include "acks.h"
#include "clock.h"
#include "gather.h"
#include "schedule.h"
#include "uring.h"

#include <stddef.h>

/* A receiver is a process of its own. */
static const struct switches *set;
static struct schedule *recorded;
static uint64_t begin_ns;

void switches_set(const struct switches *switches)
{
    set = switches;
}

void switches_record(struct schedule *schedule)
{
    recorded = schedule;
    begin_ns = lb_clock_ns();
}

/* NOLINTBEGIN(cert-dcl51-cpp): the linker gives the names. */
struct lb_uring_modes __real_lb_uring_choose(bool whole_slots);
struct lb_uring_modes __wrap_lb_uring_choose(bool whole_slots);
void __real_lb_acks_received(struct lb_acks *acks, int fd, size_t size, bool worth);
void __wrap_lb_acks_received(struct lb_acks *acks, int fd, size_t size, bool worth);
uint64_t __real_lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window);
uint64_t __wrap_lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window);

struct lb_uring_modes __wrap_lb_uring_choose(bool whole_slots)
{
    struct lb_uring_modes modes = lb_uring_modes();

    if (!set)
        return __real_lb_uring_choose(whole_slots);
    modes.bundles &= set->bundles;
    modes.incremental &= set->incremental && !whole_slots;
    return modes;
}

void __wrap_lb_acks_received(struct lb_acks *acks, int fd, size_t size, bool worth)
{
    __real_lb_acks_received(acks, fd, size, set ? set->spare_acks : worth);
}

uint64_t __wrap_lb_gather_decide(struct lb_gather *gather, const struct lb_gather_window *window)
{
    uint64_t ns = __real_lb_gather_decide(gather, window);

    if (recorded) {
        const struct schedule_step step = {lb_clock_ns() - begin_ns, ns, gather->small};

        schedule_note(recorded, &step);
    }
    return ns;
}
/* NOLINTEND(cert-dcl51-cpp) */
