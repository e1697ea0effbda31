/* SPDX-License-Identifier: MIT */
#include "limit.h"

#include "clock.h"

#define DEFAULT_WINDOW_MS 10000
#define LOOKS_PER_LIMIT 8
#define PERIOD_MIN_NS (10 * LB_NS_PER_MS)
#define PERIOD_MAX_NS LB_NS_PER_S

const struct lb_verdict lb_limits_max_bytes = {.end = LB_END_LIMIT, .why = "max-bytes"};
static const struct lb_verdict idle = {.end = LB_END_TIMEOUT, .why = "idle"};
const struct lb_verdict lb_limits_max_time = {.end = LB_END_TIMEOUT, .why = "max-time"};
static const struct lb_verdict min_rate = {.end = LB_END_LIMIT, .why = "min-rate"};

/* Some looks within the shortest limit: streams end late by a part of it, never early. */
static uint64_t choose_period(const struct lb_limits *limits)
{
    const uint64_t times[] = {limits->idle_ns, limits->max_time_ns, limits->window_ns};
    uint64_t period = 0;

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (times[i] && (period == 0 || times[i] < period))
            period = times[i];
    if (period == 0)
        return 0;
    period /= LOOKS_PER_LIMIT;
    if (period < PERIOD_MIN_NS)
        return PERIOD_MIN_NS;
    return period < PERIOD_MAX_NS ? period : PERIOD_MAX_NS;
}

void lb_limits_init(struct lb_limits *limits, const struct lb_config *config)
{
    uint64_t window_ms =
        config->min_rate_window_ms ? config->min_rate_window_ms : DEFAULT_WINDOW_MS;

    *limits = (struct lb_limits){
        .max_bytes = config->max_bytes,
        .idle_ns = config->idle_timeout_ms * LB_NS_PER_MS,
        .max_time_ns = config->max_time_ms * LB_NS_PER_MS,
        .min_rate = config->min_rate,
        .window_ns = config->min_rate ? window_ms * LB_NS_PER_MS : 0,
    };
    limits->period_ns = choose_period(limits);
}

static bool is_too_slow(const struct lb_limits *limits, struct lb_pace *pace, uint64_t bytes)
{
    double seconds = (double)pace->window_ns / (double)LB_NS_PER_S;
    bool slow;

    if (limits->window_ns == 0 || pace->window_ns < limits->window_ns)
        return false;
    slow = (double)(bytes - pace->window_bytes) < (double)limits->min_rate * seconds;
    pace->window_ns = 0;
    pace->window_bytes = bytes;
    return slow;
}

const struct lb_verdict *lb_limits_judge(const struct lb_limits *limits, struct lb_pace *pace,
                                         uint64_t bytes, uint64_t now_ns)
{
    uint64_t age_ns = now_ns - pace->begun_ns, elapsed_ns = now_ns - pace->looked_ns;
    /* A worker that had no time for its streams, or a machine that slept, can't tell what their
     * peers would have sent meanwhile. */
    uint64_t most_ns = 2 * limits->period_ns;
    uint64_t charged_ns = elapsed_ns < most_ns ? elapsed_ns : most_ns;

    if (pace->held)
        charged_ns = 0;
    pace->idle_ns = bytes == pace->bytes ? pace->idle_ns + charged_ns : 0;
    pace->window_ns += charged_ns;
    pace->bytes = bytes;
    pace->looked_ns = now_ns;
    pace->held = false;
    if (limits->max_time_ns && age_ns >= limits->max_time_ns)
        return &lb_limits_max_time;
    if (limits->idle_ns && pace->idle_ns >= limits->idle_ns)
        return &idle;
    return is_too_slow(limits, pace, bytes) ? &min_rate : NULL;
}
