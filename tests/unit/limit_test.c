/* SPDX-License-Identifier: MIT */
/* Limits: what ends a stream, and when, by made-up times; and the bytes beyond the last. */
#include "unit.h"

#include "plan.h"

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

/* ---- in an engine ---------------------------------------------------------------------------- */

static struct rig *begin_rig(void **state, const struct lb_sink *sink, struct lb_limits limits)
{
    struct rig *rig = *state;

    assert_int_equal(
        rig_init(rig, (struct script_options){.sink = sink, .count = 1, .limits = limits}), 0);
    return rig;
}

#define ASSERT_RUN(rig, log_text, end, byte_count, ...)                                            \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        rig_run(rig, steps_, sizeof(steps_) / sizeof(steps_[0]));                                  \
        assert_string_equal((rig)->script.violation, "");                                          \
        assert_string_equal((rig)->script.log, log_text);                                          \
        assert_int_equal((rig)->script.stats.ends[end], 1);                                        \
        assert_int_equal((rig)->script.stats.bytes, byte_count);                                   \
    } while (0)

static void as_many_bytes_as_allowed(void **state)
{
    struct rig *rig = begin_rig(state, NULL, (struct lb_limits){.max_bytes = 30});

    ASSERT_RUN(rig, "open1 receive1 write1:10 back1 write1:20 back1 end1:eof forget1 ", LB_END_EOF,
               30, ACCEPT, TURN, DATA(1, 10), DATA(1, 20), TURN, EOF_OF(1));
}

static void one_byte_more(void **state)
{
    struct rig *rig = begin_rig(state, NULL, (struct lb_limits){.max_bytes = 30});

    ASSERT_RUN(rig,
               "open1 receive1 write1:10 back1 write1:20 back1 cancel1 back1 end1:limit forget1 ",
               LB_END_LIMIT, 30, ACCEPT, TURN, DATA(1, 10), DATA(1, 21), DATA(1, 5), TURN,
               ERROR_OF(1, -ECANCELED));
    assert_non_null(strstr(rig->script.notes, ": limit after 30 bytes (max-bytes)\n"));
}

/* The sink isn't called with nothing. */
static void one_byte_more_in_its_own_chunk(void **state)
{
    struct rig *rig = begin_rig(state, NULL, (struct lb_limits){.max_bytes = 10});

    ASSERT_RUN(rig, "open1 receive1 write1:10 back1 back1 cancel1 end1:limit forget1 ",
               LB_END_LIMIT, 10, ACCEPT, TURN, DATA(1, 10), TURN, DATA(1, 1), TURN,
               ERROR_OF(1, -ECANCELED));
}

/* What the sink has not taken yet comes first. */
static void one_byte_more_behind_a_pause(void **state)
{
    struct rig *rig = begin_rig(state, &plan_pausing_sink, (struct lb_limits){.max_bytes = 30});

    rig->plan.streams[0].writes[0] = 10;
    ASSERT_RUN(rig, "open1 receive1 write1:30 watch1 ready1 write1:20 back1 end1:limit forget1 ",
               LB_END_LIMIT, 30, ACCEPT, TURN, DATA(1, 100), TURN, READY(1));
    assert_true(rig->script.stats.partial == 1);
}

/* The worker's own clock: turn after turn until the look has come. */
static int play_until_idle(struct script *script, struct lb_event *events, unsigned max,
                           const struct lb_turn *turn)
{
    const struct timespec nap = {.tv_nsec = turn->timeout_ns > 0 ? (long)turn->timeout_ns : 0};

    (void)max;
    if (script->waits == 1) {
        if (turn->timeout_ns >= 0)
            script_violate(script, "there is no stream yet, and the turn has a timeout");
        events[0] = script_accept(script);
        return 1;
    }
    if (script->streams[0].cancelled) {
        events[0] = script_terminal(script, 1, -ECANCELED);
        return 1;
    }
    if (turn->timeout_ns < 0)
        script_violate(script, "nobody would look at the time");
    nanosleep(&nap, NULL);
    return 0;
}

static void the_worker_sweeps(void **state)
{
    struct lb_limits limits;
    struct rig *rig;

    lb_limits_init(&limits, &(struct lb_config){.idle_timeout_ms = 20});
    rig = begin_rig(state, NULL, limits);
    rig->script.play = play_until_idle;
    lb_worker_run(&rig->script.worker);
    script_check(&rig->script);
    assert_string_equal(rig->script.violation, "");
    assert_string_equal(rig->script.log, "open1 receive1 cancel1 end1:timeout forget1 ");
    assert_non_null(strstr(rig->script.notes, ": timeout after 0 bytes (idle)\n"));
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
        cmocka_unit_test_setup_teardown(as_many_bytes_as_allowed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_byte_more, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_byte_more_in_its_own_chunk, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_byte_more_behind_a_pause, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_worker_sweeps, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
