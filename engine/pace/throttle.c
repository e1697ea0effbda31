/* SPDX-License-Identifier: MIT */
#include "throttle.h"

#include "clock.h"

/* Being late by less than the burst costs no throughput, so a lane looks only so often. */
#define BURST_NS (100 * LB_NS_PER_MS)
#define LOOK_NS (10 * LB_NS_PER_MS)

void lb_throttle_limits_init(struct lb_throttle_limits *limits, uint64_t rate, uint64_t total_rate)
{
    limits->stream = (struct lb_rate){.limit = rate, .burst_ns = BURST_NS};
    limits->total = (struct lb_rate){.limit = total_rate, .burst_ns = BURST_NS};
    atomic_store(&limits->total_ns, 0);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void append(struct lb_throttle *throttle, struct lb_throttled *throttled)
{
    throttled->next = NULL;
    throttled->previous = throttle->last;
    if (throttle->last)
        throttle->last->next = throttled;
    else
        throttle->first = throttled;
    throttle->last = throttled;
}

void lb_throttle_leave(struct lb_throttle *throttle, struct lb_throttled *throttled)
{
    if (throttled->previous)
        throttled->previous->next = throttled->next;
    else
        throttle->first = throttled->next;
    if (throttled->next)
        throttled->next->previous = throttled->previous;
    else
        throttle->last = throttled->previous;
    throttled->next = throttled->previous = NULL;
}

uint64_t lb_throttle_pay(struct lb_throttle *throttle, struct lb_throttled *throttled, size_t bytes,
                         uint64_t now_ns)
{
    struct lb_throttle_limits *limits = throttle->limits;

    return later(lb_rate_pay(&limits->stream, &throttled->account_ns, bytes, now_ns),
                 lb_rate_pay(&limits->total, &limits->total_ns, bytes, now_ns));
}

bool lb_throttle_pass(struct lb_throttle *throttle, struct lb_throttled *throttled, uint64_t now_ns)
{
    uint64_t due = lb_throttle_pay(throttle, throttled, 0, now_ns);

    if (due <= now_ns)
        return true;
    if (!throttle->first || due < throttle->look_ns)
        throttle->look_ns = due;
    append(throttle, throttled);
    return false;
}

bool lb_throttle_owes(const struct lb_throttled *throttled, uint64_t now_ns)
{
    return atomic_load_explicit(&throttled->account_ns, memory_order_relaxed) > now_ns;
}

/* Of a total, those who go on now will take a piece each: more of them could not be paid for. */
struct lb_throttled *lb_throttle_look(struct lb_throttle *throttle, size_t piece, uint64_t now_ns)
{
    struct lb_throttle_limits *limits = throttle->limits;
    uint64_t total = lb_rate_pay(&limits->total, &limits->total_ns, 0, now_ns);
    uint64_t due, earliest = UINT64_MAX;
    struct lb_throttled *next, *free = NULL, **tail = &free;

    for (struct lb_throttled *throttled = throttle->first; throttled; throttled = next) {
        next = throttled->next;
        due = later(lb_rate_pay(&limits->stream, &throttled->account_ns, 0, now_ns), total);
        if (due > now_ns) {
            earliest = due < earliest ? due : earliest;
            continue;
        }
        total += lb_rate_cost_ns(&limits->total, piece);
        lb_throttle_leave(throttle, throttled);
        *tail = throttled;
        tail = &throttled->next;
    }
    throttle->look_ns = later(earliest, now_ns + LOOK_NS);
    return free;
}
