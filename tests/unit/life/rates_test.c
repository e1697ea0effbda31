/* SPDX-License-Identifier: MIT */
/* Rates, by scripts: who waits, who goes on meanwhile, and what stops a stream that waits. */
#include "unit.h"

#include "script_plan.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define S UINT64_C(1000000000)

static struct rig *begin_limited(void **state, struct script_options options)
{
    struct rig *rig = *state;

    options.drain_ms = 60000;
    assert_int_equal(rig_init(rig, options), 0);
    return rig;
}

static struct rig *begin(void **state, uint64_t rate, uint64_t total, uint64_t count)
{
    return begin_limited(
        state, (struct script_options){.rate = rate, .total_rate = total, .count = count});
}

#define RUN(rig, ...)                                                                              \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        rig_run(rig, steps_, sizeof(steps_) / sizeof(steps_[0]));                                  \
        assert_string_equal((rig)->script.violation, "");                                          \
    } while (0)

/* A rate so low that no test lives to see the next piece. */
enum { HARDLY_ANY = 1 };

static void within_the_rate_nothing_changes(void **state)
{
    struct rig *rig = begin(state, UINT64_C(1) << 40, UINT64_C(1) << 40, 1);

    RUN(rig, ACCEPT, TURN, DATA(1, 10), TURN, DATA(1, 10), TURN, EOF_OF(1));
    assert_string_equal(rig->script.log, "open1 receive1 write1:10 back1 receive1 write1:10 back1 "
                                         "receive1 end1:eof forget1 ");
}

/* 400 bytes at 4,000 a second are 100 ms: the burst. One more and it waits. */
static void beyond_the_rate_it_waits(void **state)
{
    struct rig *rig = begin(state, 4000, 0, 1);
    uint64_t before = time_now_ns();

    RUN(rig, ACCEPT, TURN, DATA(1, 1000), TURN, TIMEOUT, TURN, EOF_OF(1));
    assert_string_equal(rig->script.log,
                        "open1 receive1 write1:1000 back1 receive1 end1:eof forget1 ");
    assert_true(time_now_ns() - before >= S / 1000 * 150);
}

static void others_do_not_wait(void **state)
{
    struct rig *rig = begin(state, HARDLY_ANY, 0, 2);

    RUN(rig, ACCEPT, ACCEPT, TURN, DATA(1, 4000), TURN, EOF_OF(2), TURN, STOP, TURN, STOP);
    assert_string_equal(rig->script.log, "open1 receive1 open2 receive2 write1:4000 back1 "
                                         "end2:eof forget2 end1:stopped forget1 ");
}

/* What one has had, the other may not have; not even one that has just come. */
static void all_share_a_total(void **state)
{
    struct rig *rig = begin(state, 0, HARDLY_ANY, 3);

    RUN(rig, ACCEPT, ACCEPT, TURN, DATA(1, 4000), TURN, DATA(2, 1), TURN, ACCEPT, TURN, STOP, TURN,
        STOP);
    assert_string_equal(rig->script.log,
                        "open1 receive1 open2 receive2 write1:4000 back1 write2:1 back2 open3 "
                        "end3:stopped forget3 end2:stopped forget2 end1:stopped forget1 ");
}

static struct rig *begin_with_failures(void **state)
{
    return begin_limited(state, (struct script_options){
                                    .sink = &plan_pausing_sink,
                                    .total_rate = HARDLY_ANY,
                                    .count = 2,
                                });
}

/* What has come is paid for, whatever becomes of it: else streams that fail one after the other
 * would have a piece each for nothing. */
static void who_fails_has_paid(void **state)
{
    struct rig *rig = begin_with_failures(state);

    rig->plan.streams[0].writes[0] = -EIO;
    RUN(rig, ACCEPT, TURN, DATA(1, 4000), TURN, ACCEPT, TURN, STOP, TURN, STOP);
    assert_string_equal(rig->script.log, "open1 receive1 write1:4000 back1 end1:sink forget1 open2 "
                                         "end2:stopped forget2 ");
}

static void who_fails_in_a_pause_has_paid(void **state)
{
    struct rig *rig = begin_with_failures(state);

    rig->plan.streams[0].writes[0] = 10;
    rig->plan.streams[0].readies[0] = -EIO;
    RUN(rig, ACCEPT, TURN, DATA(1, 4000), TURN, READY(1), TURN, ACCEPT, TURN, STOP, TURN, STOP);
    assert_string_equal(rig->script.log,
                        "open1 receive1 write1:4000 watch1 ready1 back1 end1:sink forget1 open2 "
                        "end2:stopped forget2 ");
}

/* A stream that comes and has its piece; then the time alone goes on. */
static int play_one_piece(struct script *script, struct lb_event *events, unsigned max,
                          const struct lb_turn *turn)
{
    const struct timespec nap = {.tv_nsec = turn->timeout_ns > 0 ? (long)turn->timeout_ns : 0};

    (void)max;
    if (script->waits <= 2) {
        events[0] = script->waits == 1 ? script_accept(script) : script_data(script, 1, 4000);
        return 1;
    }
    if (turn->timeout_ns < 0)
        script_violate(script, "nobody would look at the time");
    nanosleep(&nap, NULL);
    return 0;
}

/* It is our doing, so it is not idle; but its time may be up. */
static void waiting_is_not_idle(void **state)
{
    struct script_options options = {.rate = HARDLY_ANY, .count = 1};
    struct rig *rig;

    lb_limits_init(&options.limits, &(struct lb_config){.idle_timeout_ms = 10,
                                                        .min_rate = 1000000,
                                                        .min_rate_window_ms = 20,
                                                        .max_time_ms = 80});
    rig = begin_limited(state, options);
    rig->script.play = play_one_piece;
    lb_worker_run(&rig->script.worker);
    script_check(&rig->script);
    assert_string_equal(rig->script.violation, "");
    assert_non_null(strstr(rig->script.notes, "timeout after 4000 bytes (max-time)"));
}

/* What can't be spliced to the sink's target and is written instead is paid for as well. */
static void what_a_target_refuses_is_paid_for(void **state)
{
    FILE *file = tmpfile();
    /* A piece takes 200 ms. */
    struct rig *rig = begin_limited(
        state, (struct script_options){.sink = &plan_target_sink, .rate = 20480, .count = 1});

    plan_target = fileno(file);
    RUN(rig, ACCEPT, TURN, DATA(1, SCRIPT_SLOT_SIZE), TURN, TIMEOUT, TURN, REFUSE,
        READABLE(1, SCRIPT_SLOT_SIZE), TURN, STOP, TURN, STOP);
    assert_string_equal(rig->script.log, "open1 receive1 write1:4096 back1 await1 write1:4096 "
                                         "end1:stopped forget1 ");
    plan_target = -1;
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(within_the_rate_nothing_changes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(beyond_the_rate_it_waits, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(others_do_not_wait, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(all_share_a_total, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(who_fails_has_paid, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(who_fails_in_a_pause_has_paid, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(waiting_is_not_idle, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_a_target_refuses_is_paid_for, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
