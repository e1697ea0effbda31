/* SPDX-License-Identifier: MIT */
/* Limits: what ends a stream, and when, by made-up times. */
#include "unit.h"

#include "limit.h"

#include <errno.h>
#include <string.h>

#define MS UINT64_C(1000000)

/* A stream that begins at 0 and sends whatever send says between two sweeps. */
struct trace {
    struct lb_limits limits;
    struct lb_pace pace;
    uint64_t now_ns, bytes;
};

static struct trace begin(struct lb_config config)
{
    struct trace trace = {0};

    lb_limits_init(&trace.limits, &config);
    return trace;
}

/* bytes come, then a look after_ms later. */
static const char *step(struct trace *trace, uint64_t after_ms, uint64_t bytes)
{
    const struct lb_verdict *passed;

    trace->now_ns += after_ms * MS;
    trace->bytes += bytes;
    passed = lb_limits_judge(&trace->limits, &trace->pace, trace->bytes, trace->now_ns);
    return passed ? passed->why : "goes on";
}

static const char *held_step(struct trace *trace, uint64_t after_ms, uint64_t bytes)
{
    trace->pace.held = true;
    return step(trace, after_ms, bytes);
}

#define GOES_ON(call) assert_string_equal(call, "goes on")

static void no_limit_no_sweep(void **state)
{
    struct trace trace = begin((struct lb_config){.max_bytes = 5});

    (void)state;
    assert_int_equal(trace.limits.period_ns, 0);
    assert_int_equal(trace.limits.window_ns, 0);
}

static void sweeps_are_coarse(void **state)
{
    static const struct {
        struct lb_config config;
        unsigned period_ms;
    } cases[] = {
        {{.idle_timeout_ms = 800}, 100},
        {{.max_time_ms = 800, .idle_timeout_ms = 4000}, 100},
        {{.min_rate = 1}, 1000},
        {{.min_rate = 1, .min_rate_window_ms = 400}, 50},
        {{.idle_timeout_ms = 10}, 10},
        {{.idle_timeout_ms = 3600000}, 1000},
        {{.idle_timeout_ms = UINT32_MAX}, 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(begin(cases[i].config).limits.period_ns, cases[i].period_ms * MS);
}

static void a_silent_stream_is_idle(void **state)
{
    struct trace trace = begin((struct lb_config){.idle_timeout_ms = 800});

    (void)state;
    GOES_ON(step(&trace, 100, 5)); /* the byte may have come at the end of that time */
    for (int i = 0; i < 7; i++)
        GOES_ON(step(&trace, 100, 0));
    assert_string_equal(step(&trace, 100, 0), "idle");
}

static void a_byte_now_and_then_is_not_idle(void **state)
{
    struct trace trace = begin((struct lb_config){.idle_timeout_ms = 800});

    (void)state;
    for (int i = 0; i < 100; i++)
        GOES_ON(step(&trace, 100, i % 7 == 0));
}

static void a_young_stream_is_not_older_than_it_is(void **state)
{
    struct trace trace = begin((struct lb_config){.idle_timeout_ms = 80});

    (void)state;
    /* It began 5 ms before the first look. */
    trace.now_ns = 1000 * MS;
    trace.pace.begun_ns = trace.pace.looked_ns = 1015 * MS;
    GOES_ON(step(&trace, 20, 0));
    assert_int_equal(trace.pace.idle_ns, 5 * MS);
}

static void a_trickle_is_too_slow(void **state)
{
    struct trace trace = begin(
        (struct lb_config){.min_rate = 100, .min_rate_window_ms = 1000, .idle_timeout_ms = 500});

    (void)state;
    for (int window = 0; window < 3; window++)
        for (int i = 0; i < 20; i++)
            GOES_ON(step(&trace, 50, 5)); /* 100 bytes a second */
    for (int i = 0; i < 19; i++)
        GOES_ON(step(&trace, 50, i == 0 ? 80 : 1)); /* 98, and the last one missing */
    assert_string_equal(step(&trace, 50, 1), "min-rate");
}

static void a_burst_pays_for_its_own_window_only(void **state)
{
    struct trace trace = begin((struct lb_config){.min_rate = 100, .min_rate_window_ms = 800});

    (void)state;
    for (int i = 0; i < 8; i++)
        GOES_ON(step(&trace, 100, i == 0 ? 1000000 : 0));
    for (int i = 0; i < 7; i++)
        GOES_ON(step(&trace, 100, 0));
    assert_string_equal(step(&trace, 100, 0), "min-rate");
}

static void what_we_hold_up_is_not_the_peers_fault(void **state)
{
    struct trace trace = begin(
        (struct lb_config){.idle_timeout_ms = 800, .min_rate = 100, .min_rate_window_ms = 1600});

    (void)state;
    for (int i = 0; i < 6; i++)
        GOES_ON(step(&trace, 100, 0));
    for (int i = 0; i < 1000; i++)
        GOES_ON(held_step(&trace, 100, 0));
    GOES_ON(step(&trace, 100, 0));
    assert_string_equal(step(&trace, 100, 0), "idle");
}

static void a_worker_without_time_charges_nobody(void **state)
{
    struct trace trace = begin((struct lb_config){.idle_timeout_ms = 800});

    (void)state;
    GOES_ON(step(&trace, 100, 5));
    GOES_ON(step(&trace, 3600000, 0));
    assert_int_equal(trace.pace.idle_ns, 200 * MS);
}

static void time_is_up_whatever_comes(void **state)
{
    struct trace trace = begin((struct lb_config){.max_time_ms = 800});

    (void)state;
    for (int i = 0; i < 7; i++)
        GOES_ON(held_step(&trace, 100, 1000000));
    assert_string_equal(held_step(&trace, 100, 1000000), "max-time");
}

static void huge_limits_do_not_overflow(void **state)
{
    struct trace trace = begin((struct lb_config){.idle_timeout_ms = UINT32_MAX,
                                                  .max_time_ms = UINT32_MAX,
                                                  .min_rate = UINT64_MAX,
                                                  .min_rate_window_ms = UINT32_MAX});

    (void)state;
    trace.bytes = UINT64_MAX / 2;
    for (int i = 0; i < 100; i++)
        GOES_ON(step(&trace, 1000, UINT64_C(1) << 40));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_no_sweep),
        cmocka_unit_test(sweeps_are_coarse),
        cmocka_unit_test(a_silent_stream_is_idle),
        cmocka_unit_test(a_byte_now_and_then_is_not_idle),
        cmocka_unit_test(a_young_stream_is_not_older_than_it_is),
        cmocka_unit_test(a_trickle_is_too_slow),
        cmocka_unit_test(a_burst_pays_for_its_own_window_only),
        cmocka_unit_test(what_we_hold_up_is_not_the_peers_fault),
        cmocka_unit_test(a_worker_without_time_charges_nobody),
        cmocka_unit_test(time_is_up_whatever_comes),
        cmocka_unit_test(huge_limits_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
