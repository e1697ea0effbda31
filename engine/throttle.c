/* SPDX-License-Identifier: MIT */
#include "throttle.h"

#include "clock.h"
#include "delivery.h"
#include "engine.h"

/* Being late by less than the burst costs no throughput, so a worker looks only so often. */
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

static void append(struct lb_throttle *throttle, struct lb_stream *stream)
{
    stream->throttled.next = NULL;
    stream->throttled.previous = throttle->last;
    if (throttle->last)
        throttle->last->throttled.next = stream;
    else
        throttle->first = stream;
    throttle->last = stream;
}

void lb_throttle_leave(struct lb_stream *stream)
{
    struct lb_throttle *throttle = &stream->worker->throttle;
    struct lb_throttled *place = &stream->throttled;

    if (place->previous)
        place->previous->throttled.next = place->next;
    else
        throttle->first = place->next;
    if (place->next)
        place->next->throttled.previous = place->previous;
    else
        throttle->last = place->previous;
    place->next = place->previous = NULL;
}

bool lb_throttle_pass(struct lb_stream *stream, size_t bytes)
{
    struct lb_throttle *throttle = &stream->worker->throttle;
    struct lb_throttle_limits *limits = &stream->worker->engine->throttle;
    uint64_t now, due;

    if (!lb_throttle_limits_any(limits))
        return true;
    now = lb_clock_ns();
    due = later(lb_rate_pay(&limits->stream, &stream->throttled.account_ns, bytes, now),
                lb_rate_pay(&limits->total, &limits->total_ns, bytes, now));
    if (due <= now)
        return true;
    if (!throttle->first || due < throttle->look_ns)
        throttle->look_ns = due;
    append(throttle, stream);
    return false;
}

/* Of a total, those who go on now will take a piece each: more of them could not be paid for. */
void lb_throttle_look(struct lb_worker *worker)
{
    struct lb_throttle *throttle = &worker->throttle;
    struct lb_throttle_limits *limits = &worker->engine->throttle;
    uint64_t now, total, due, earliest = UINT64_MAX;
    struct lb_stream *next;

    if (!throttle->first)
        return;
    now = lb_clock_ns();
    if (now < throttle->look_ns)
        return;
    total = lb_rate_pay(&limits->total, &limits->total_ns, 0, now);
    for (struct lb_stream *stream = throttle->first; stream; stream = next) {
        next = stream->throttled.next;
        due = later(lb_rate_pay(&limits->stream, &stream->throttled.account_ns, 0, now), total);
        if (due > now) {
            earliest = due < earliest ? due : earliest;
            continue;
        }
        total += lb_rate_cost_ns(&limits->total, worker->pool.slot_size);
        lb_throttle_leave(stream);
        lb_delivery_resume(stream);
    }
    throttle->look_ns = later(earliest, now + LOOK_NS);
}
