/* SPDX-License-Identifier: MIT */
#include "meter.h"

int lb_meter_open(struct lb_meter *meter, const struct lb_digest_method *method)
{
    return method->algorithm ? lb_digest_open(&meter->digest, method) : 0;
}

void lb_meter_close(struct lb_meter *meter)
{
    lb_digest_close(&meter->digest);
}

/* At the same moments for all streams of a lane, so that one wake-up does for all of them. */
static uint64_t next_look_ns(const struct lb_limits *limits, uint64_t now_ns)
{
    return (now_ns / limits->period_ns + 1) * limits->period_ns;
}

void lb_meter_begin(struct lb_meter *meter, const struct lb_limits *limits, uint64_t now_ns)
{
    if (limits->period_ns == 0)
        return;
    if (!meter->pace.begun_ns)
        meter->pace.begun_ns = now_ns;
    meter->pace.looked_ns = now_ns;
    meter->look_ns = next_look_ns(limits, now_ns);
}

const struct lb_verdict *lb_meter_look(struct lb_meter *meter, const struct lb_limits *limits,
                                       struct lb_hold hold, uint64_t now_ns)
{
    const struct lb_verdict *passed;

    meter->pace.held |= hold.held;
    passed = lb_limits_judge(limits, &meter->pace, meter->bytes + hold.waiting, now_ns);
    /* It is held up still. */
    meter->pace.held = hold.held;
    meter->look_ns = next_look_ns(limits, now_ns);
    return passed;
}
