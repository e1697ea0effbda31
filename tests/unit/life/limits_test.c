/* SPDX-License-Identifier: MIT */
/* A stream's limits, by scripts: the bytes beyond the last, and that somebody looks at the time. */
#include "unit.h"

#include "script_asserts.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static struct rig *begin_rig(void **state, const struct lb_sink *sink, struct lb_limits limits)
{
    struct rig *rig = *state;

    assert_int_equal(
        rig_init(rig, (struct script_options){.sink = sink, .count = 1, .limits = limits}), 0);
    return rig;
}

#define ASSERT_RUN(rig, log_text, end, byte_count, ...)                                            \
    do {                                                                                           \
        ASSERT_LOG(rig, log_text, __VA_ARGS__);                                                    \
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
        cmocka_unit_test_setup_teardown(as_many_bytes_as_allowed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_byte_more, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_byte_more_in_its_own_chunk, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_byte_more_behind_a_pause, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_worker_sweeps, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
