/* SPDX-License-Identifier: MIT */
#include "rate.h"

#include "clock.h"

uint64_t lb_rate_cost_ns(const struct lb_rate *rate, uint64_t bytes)
{
    if (rate->limit == 0 || bytes == 0)
        return 0;
    return bytes / rate->limit * LB_NS_PER_S + bytes % rate->limit * LB_NS_PER_S / rate->limit + 1;
}

uint64_t lb_rate_pay(const struct lb_rate *rate, _Atomic uint64_t *account_ns, uint64_t bytes,
                     uint64_t now_ns)
{
    uint64_t cost = lb_rate_cost_ns(rate, bytes);
    uint64_t least = now_ns > rate->burst_ns ? now_ns - rate->burst_ns : 0;
    uint64_t before, after;

    if (rate->limit == 0)
        return now_ns;
    before = atomic_load_explicit(account_ns, memory_order_relaxed);
    do
        after = (before > least ? before : least) + cost;
    while (!atomic_compare_exchange_weak_explicit(account_ns, &before, after, memory_order_relaxed,
                                                  memory_order_relaxed));
    return after > now_ns ? after : now_ns;
}
