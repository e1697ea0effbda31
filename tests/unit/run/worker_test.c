/* SPDX-License-Identifier: MIT */
/* The worker, by scripts: limits, stops, a failing accept and a broken backend. */
#include "unit.h"

#include "script_asserts.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LONG_DRAIN_MS = 60000 };

static struct stream_plan *begin(struct rig *rig, struct script_options options)
{
    assert_int_equal(rig_init(rig, options), 0);
    return rig->plan.streams;
}

#define BEGIN(rig, ...) begin(rig, (struct script_options){__VA_ARGS__})

static void assert_ends(const struct rig *rig, enum lb_end end, uint64_t count)
{
    assert_int_equal(rig->script.stats.ends[end], count);
    assert_int_equal(rig->script.stats.streams, count);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void the_count_is_reached(void **state)
{
    BEGIN(*state, .count = 2);
    ASSERT_LOG(*state, "open1 receive1 open2 receive2 end1:eof forget1 end2:eof forget2 ", LIMIT(2),
               ACCEPT, TURN, LIMIT(1), ACCEPT, TURN, LIMIT(0), EOF_OF(1), TURN, LIMIT(0),
               EOF_OF(2));
    assert_ends(*state, LB_END_EOF, 2);
}

/* One more than was asked for came ahead: it never begins. */
static void the_count_is_exceeded_by_accepts(void **state)
{
    BEGIN(*state, .count = 1);
    ASSERT_LOG(*state, "open1 receive1 end1:eof forget1 ", ACCEPT, ACCEPT, TURN, LIMIT(0),
               EOF_OF(1));
    assert_ends(*state, LB_END_EOF, 1);
}

static void accepted_ahead_waits_its_turn(void **state)
{
    BEGIN(*state, .max_streams = 2, .count = 6);
    ASSERT_LOG(*state,
               "open1 receive1 open2 receive2 end1:eof forget1 open3 receive3 end3:eof forget3 "
               "open4 receive4 end2:eof forget2 open5 receive5 end4:eof forget4 end5:eof forget5 "
               "open6 receive6 end6:eof forget6 ",
               LIMIT(2), ACCEPT, ACCEPT, ACCEPT, ACCEPT, TURN, LIMIT(0), EOF_OF(1), TURN, LIMIT(0),
               EOF_OF(3), TURN, LIMIT(0), EOF_OF(2), TURN, LIMIT(1), ACCEPT, TURN, LIMIT(0),
               EOF_OF(4), EOF_OF(5), TURN, LIMIT(1), ACCEPT, TURN, EOF_OF(6));
    assert_ends(*state, LB_END_EOF, 6);
}

static void streams_are_numbered_as_they_begin(void **state)
{
    struct rig *rig = *state;

    BEGIN(rig, .max_streams = 1, .count = 2);
    ASSERT_LOG(rig, "open1 receive1 end1:eof forget1 open2 receive2 end2:eof forget2 ", ACCEPT,
               ACCEPT, TURN, EOF_OF(1), TURN, EOF_OF(2));
    assert_ptr_equal(strstr(rig->script.notes, "detail: stream 1 from"), rig->script.notes);
    assert_non_null(strstr(rig->script.notes, "\ndetail: stream 2 from"));
}

/* A worker that found no room is woken by the next end, wherever that is. */
static void an_end_wakes_the_hungry(void **state)
{
    BEGIN(*state, .max_streams = 1, .count = 2);
    ASSERT_LOG(*state, "open1 receive1 end1:eof forget1 open2 receive2 end2:eof forget2 ", ACCEPT,
               TURN, LIMIT(0), EOF_OF(1), TURN, WAKE, LIMIT(1), ACCEPT, TURN, EOF_OF(2));
}

static void a_refused_stream_makes_room(void **state)
{
    struct stream_plan *plan = BEGIN(*state, .max_streams = 1, .count = 3);

    plan[0].open = plan[1].open = -EMFILE;
    ASSERT_LOG(*state, "open1 forget1 open2 forget2 open3 receive3 end3:eof forget3 ", ACCEPT,
               ACCEPT, ACCEPT, TURN, EOF_OF(3));
}

static void one_stream_per_worker(void **state)
{
    BEGIN(*state, .one_stream_per_worker = true, .count = 3);
    ASSERT_LOG(*state,
               "open1 receive1 end1:eof forget1 open2 receive2 end2:eof forget2 open3 receive3 "
               "end3:eof forget3 ",
               LIMIT(1), ACCEPT, TURN, LIMIT(0), EOF_OF(1), TURN, LIMIT(1), ACCEPT, TURN, LIMIT(0),
               EOF_OF(2), TURN, LIMIT(1), ACCEPT, TURN, EOF_OF(3));
}

static void a_full_table_turns_away(void **state)
{
    struct rig *rig = *state;

    BEGIN(rig, .one_stream_per_worker = true, .count = 2);
    rig_leave_places(rig, 2);
    ASSERT_LOG(rig, "open1 receive1 end1:eof forget1 open2 receive2 end2:eof forget2 ", ACCEPT,
               ACCEPT, ACCEPT, TURN, LIMIT(0), EOF_OF(1), TURN, EOF_OF(2));
    assert_non_null(strstr(rig->script.notes, "warning: a peer was turned away"));
    assert_ends(rig, LB_END_EOF, 2);
}

/* ---- a failing accept ------------------------------------------------------------------------ */

static void a_failed_accept_pauses_accepting(void **state)
{
    struct rig *rig = *state;

    BEGIN(rig, .count = 2);
    ASSERT_LOG(rig,
               "open1 receive1 write1:10 back1 open2 receive2 end1:eof forget1 end2:eof forget2 ",
               ACCEPT, TURN, LIMIT(1), ACCEPT_FAILED(-EMFILE), TURN,
               /* What is under way goes on. */
               LIMIT(0), DATA(1, 10), TURN, LIMIT(0), TIMEOUT, TURN, LIMIT(1), ACCEPT, TURN,
               EOF_OF(1), EOF_OF(2));
    assert_non_null(strstr(rig->script.notes, "warning: accepting pauses"));
    assert_non_null(strstr(rig->script.notes, "ulimit -n"));
}

/* Somebody who shares the socket has shut it down: more descriptors would not help. */
static void a_dead_listener_is_named(void **state)
{
    struct rig *rig = *state;

    BEGIN(rig, .drain_ms = LONG_DRAIN_MS);
    ASSERT_LOG(rig, "", ACCEPT_FAILED(-EINVAL), TURN, LIMIT(0), STOP);
    assert_non_null(strstr(rig->script.notes, "doesn't listen any more"));
    assert_null(strstr(rig->script.notes, "ulimit"));
}

static void a_stop_ends_the_pause(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS);
    ASSERT_LOG(*state, "", ACCEPT_FAILED(-ENFILE), TURN, LIMIT(0), STOP);
}

/* ---- stops ----------------------------------------------------------------------------------- */

static void an_idle_worker_stops(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS);
    /* One more wait, to take accepting back. */
    ASSERT_LOG(*state, "", STOP, TURN, LIMIT(0));
}

static void draining_lets_streams_end(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS);
    ASSERT_LOG(*state, "open1 receive1 write1:10 back1 write1:20 back1 end1:eof forget1 ", ACCEPT,
               TURN, STOP, DATA(1, 10), TURN, LIMIT(0), DATA(1, 20), TURN, EOF_OF(1));
    assert_ends(*state, LB_END_EOF, 1);
}

static void draining_serves_what_was_accepted(void **state)
{
    BEGIN(*state, .max_streams = 1, .drain_ms = LONG_DRAIN_MS);
    ASSERT_LOG(*state,
               "open1 receive1 end1:eof forget1 open2 receive2 end2:eof forget2 open3 receive3 "
               "end3:eof forget3 ",
               ACCEPT, ACCEPT, TURN, STOP, TURN, ACCEPTING, ACCEPT, TURN, EOF_OF(1), TURN,
               EOF_OF(2), TURN, EOF_OF(3));
    assert_ends(*state, LB_END_EOF, 3);
}

/* The kernel accepts on our behalf until the backend says that this is over. */
static void draining_waits_for_the_backend(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS);
    ASSERT_LOG(*state, "open1 receive1 end1:eof forget1 ", STOP, TURN, ACCEPTING, TURN, ACCEPTING,
               ACCEPT, TURN, EOF_OF(1));
}

static void patience_ends(void **state)
{
    BEGIN(*state, .drain_ms = 50);
    ASSERT_LOG(*state, "open1 receive1 write1:10 back1 cancel1 end1:stopped forget1 ", ACCEPT, TURN,
               STOP, TURN, DATA(1, 10), TURN, TIMEOUT, TURN, ERROR_OF(1, -ECANCELED));
    assert_ends(*state, LB_END_STOPPED, 1);
}

/* Longer than the drain lasts. */
static void be_held_up(struct script *script)
{
    const uint64_t until = time_now_ns() + UINT64_C(2000000);

    (void)script;
    while (time_now_ns() < until)
        time_nap();
}

static void patience_ends_while_bytes_are_taken(void **state)
{
    BEGIN(*state, .drain_ms = 1);
    ASSERT_LOG(*state, "open1 receive1 write1:10 back1 cancel1 end1:stopped forget1 ", ACCEPT, TURN,
               STOP, TURN, CALL(be_held_up), DATA(1, 10), TURN, TIMEOUT, TURN,
               ERROR_OF(1, -ECANCELED));
    assert_ends(*state, LB_END_STOPPED, 1);
}

static void no_patience_at_all(void **state)
{
    BEGIN(*state, .drain_ms = 0);
    ASSERT_LOG(*state, "open1 receive1 cancel1 end1:stopped forget1 ", ACCEPT, TURN, STOP, TURN,
               ERROR_OF(1, -ECANCELED));
}

static void a_second_stop_ends_at_once(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS);
    ASSERT_LOG(*state,
               "open1 receive1 open2 receive2 cancel2 cancel1 back1 end1:stopped forget1 "
               "end2:stopped forget2 ",
               ACCEPT, ACCEPT, TURN, STOP, TURN, STOP, TURN, LIMIT(0), DATA(1, 10),
               ERROR_OF(1, -ECANCELED), TURN, ERROR_OF(2, -ECANCELED));
    assert_ends(*state, LB_END_STOPPED, 2);
}

static void further_stops_change_nothing(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS);
    ASSERT_LOG(*state, "open1 receive1 cancel1 end1:stopped forget1 ", ACCEPT, TURN, STOP, STOP,
               STOP, TURN, STOP, TURN, STOP, ERROR_OF(1, -ECANCELED));
}

/* What was received before the stop counts. */
static void an_eof_comes_with_the_stop(void **state)
{
    BEGIN(*state, .drain_ms = 0);
    ASSERT_LOG(*state, "open1 receive1 write1:10 back1 end1:eof forget1 ", ACCEPT, TURN, STOP, STOP,
               DATA(1, 10), EOF_OF(1));
    assert_ends(*state, LB_END_EOF, 1);
}

/* Once the stream was told to end, an EOF comes too late. */
static void an_eof_comes_after_the_stop(void **state)
{
    BEGIN(*state, .drain_ms = 0);
    ASSERT_LOG(*state, "open1 receive1 cancel1 end1:stopped forget1 ", ACCEPT, TURN, STOP, TURN,
               EOF_OF(1));
    assert_ends(*state, LB_END_STOPPED, 1);
}

static void a_paused_stream_is_stopped(void **state)
{
    BEGIN(*state, .sink = &plan_pausing_sink)->writes[0] = 4;
    ASSERT_LOG(*state, "open1 receive1 write1:10 watch1 back1 end1:stopped forget1 ", ACCEPT, TURN,
               DATA(1, 10), STOP);
    assert_ends(*state, LB_END_STOPPED, 1);
}

/* The one chunk that was asked for comes in place of the terminal event. */
static void a_pausing_stream_is_stopped(void **state)
{
    BEGIN(*state, .sink = &plan_pausing_sink);
    ASSERT_LOG(*state, "open1 receive1 cancel1 back1 end1:stopped forget1 ", ACCEPT, TURN, STOP,
               TURN, DATA(1, 10));
}

static void a_waiting_stream_never_begins(void **state)
{
    BEGIN(*state, .max_streams = 1);
    ASSERT_LOG(*state, "open1 receive1 cancel1 end1:stopped forget1 ", ACCEPT, ACCEPT, TURN, STOP,
               TURN, ERROR_OF(1, -ECANCELED));
    assert_ends(*state, LB_END_STOPPED, 1);
}

/* ---- stops and ends that take their time ----------------------------------------------------- */

static void a_stop_meets_an_end_in_progress(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS)->ends[0] = -EINPROGRESS;
    ASSERT_LOG(*state, "open1 receive1 end1:eof watch1 end1:stopped forget1 ", ACCEPT, TURN,
               EOF_OF(1), TURN, STOP, TURN, STOP);
    assert_ends(*state, LB_END_STOPPED, 1);
}

static void draining_waits_for_an_end_in_progress(void **state)
{
    BEGIN(*state, .drain_ms = LONG_DRAIN_MS)->ends[0] = -EINPROGRESS;
    ASSERT_LOG(*state, "open1 receive1 end1:eof watch1 ready1 end1:eof forget1 ", ACCEPT, TURN,
               EOF_OF(1), TURN, STOP, TURN, READY(1));
    assert_ends(*state, LB_END_EOF, 1);
}

static void a_stop_keeps_an_earlier_end(void **state)
{
    BEGIN(*state)->ends[0] = -EINPROGRESS;
    ASSERT_LOG(*state, "open1 receive1 end1:reset watch1 end1:reset forget1 ", ACCEPT, TURN,
               ERROR_OF(1, -ECONNRESET), TURN, STOP, STOP);
    assert_ends(*state, LB_END_RESET, 1);
}

static void a_stopped_end_may_take_its_time(void **state)
{
    struct stream_plan *plan = BEGIN(*state);

    plan->ends[0] = plan->ends[1] = -EINPROGRESS;
    ASSERT_LOG(*state,
               "open1 receive1 end1:eof watch1 end1:stopped watch1 ready1 end1:stopped forget1 ",
               ACCEPT, TURN, EOF_OF(1), TURN, STOP, STOP, TURN, TURN, READY(1));
    assert_ends(*state, LB_END_STOPPED, 1);
}

/* A commit under way is waited for: what it promised is safe then. */
static void a_stop_waits_for_the_committer(void **state)
{
    BEGIN(*state, .sink = &plan_slow_sink, .committer = true);
    ASSERT_LOG(*state, "open1 receive1 end1:eof forget1 ", ACCEPT, TURN, EOF_OF(1), TURN, STOP,
               STOP, COMMITTED);
    assert_ends(*state, LB_END_EOF, 1);
}

/* ---- a broken backend ------------------------------------------------------------------------ */

static void it_breaks_while_idle(void **state)
{
    struct rig *rig = *state;

    BEGIN(rig);
    ASSERT_LOG(rig, "", BROKEN(-EBADF));
    assert_non_null(strstr(rig->script.notes, "warning: the script backend failed: "));
    /* The whole engine stops. */
    assert_int_equal(rig->script.door.stop, LB_STOP_NOW);
}

/* They have nothing to do with it, and would wait for ever. */
static void it_breaks_and_others_are_woken(void **state)
{
    struct rig *rig = *state;
    struct lb_inbox other;
    uint64_t wakes = 0;

    BEGIN(rig);
    assert_int_equal(lb_inbox_open(&other), 0);
    lb_door_add(&rig->script.door, &other);
    ASSERT_LOG(rig, "", BROKEN(-EBADF));
    assert_int_equal(read(other.wake_fd, &wakes, sizeof(wakes)), sizeof(wakes));
    assert_int_equal(rig->script.door.stop, LB_STOP_NOW);
    lb_inbox_close(&other);
}

static void it_breaks_while_receiving(void **state)
{
    BEGIN(*state);
    ASSERT_LOG(*state,
               "open1 receive1 open2 receive2 write1:10 back1 end2:error forget2 end1:error "
               "forget1 ",
               ACCEPT, ACCEPT, TURN, DATA(1, 10), TURN, BROKEN(-EIO));
    assert_ends(*state, LB_END_ERROR, 2);
}

static void it_breaks_in_a_pause(void **state)
{
    BEGIN(*state, .sink = &plan_pausing_sink)->writes[0] = 4;
    ASSERT_LOG(*state, "open1 receive1 write1:10 watch1 back1 end1:error forget1 ", ACCEPT, TURN,
               DATA(1, 10), TURN, BROKEN(-EIO));
    assert_ends(*state, LB_END_ERROR, 1);
}

static void it_breaks_after_a_cancel(void **state)
{
    BEGIN(*state)->writes[0] = -ENOSPC;
    ASSERT_LOG(*state, "open1 receive1 write1:10 back1 cancel1 end1:sink forget1 ", ACCEPT, TURN,
               DATA(1, 10), TURN, BROKEN(-EIO));
    assert_ends(*state, LB_END_SINK, 1);
}

static void it_breaks_with_a_waiting_stream(void **state)
{
    BEGIN(*state, .max_streams = 1);
    ASSERT_LOG(*state, "open1 receive1 end1:error forget1 ", ACCEPT, ACCEPT, TURN, BROKEN(-EIO));
    assert_ends(*state, LB_END_ERROR, 1);
}

static void it_breaks_while_committing(void **state)
{
    BEGIN(*state, .sink = &plan_slow_sink, .committer = true);
    ASSERT_LOG(*state, "open1 receive1 end1:eof forget1 ", ACCEPT, TURN, EOF_OF(1), TURN,
               BROKEN(-EIO));
    assert_ends(*state, LB_END_EOF, 1);
}

static void it_breaks_while_an_end_is_in_progress(void **state)
{
    BEGIN(*state)->ends[0] = -EINPROGRESS;
    ASSERT_LOG(*state, "open1 receive1 end1:eof watch1 end1:error forget1 ", ACCEPT, TURN,
               EOF_OF(1), TURN, BROKEN(-EIO));
    assert_ends(*state, LB_END_ERROR, 1);
}

/* No READY will come any more; the sink must get its chance all the same. */
static void it_breaks_and_an_end_takes_its_time(void **state)
{
    struct stream_plan *plan = BEGIN(*state);
    struct rig *rig = *state;
    const struct step steps[] = {ACCEPT, ACCEPT, TURN, EOF_OF(1), TURN, BROKEN(-EIO)};

    plan[0].ends[0] = plan[0].ends[1] = -EINPROGRESS; /* before it breaks, and when it does */
    plan[1].ends[0] = plan[1].ends[1] = -EINPROGRESS; /* when it breaks, and later */
    rig_run(rig, steps, sizeof(steps) / sizeof(steps[0]));
    assert_string_equal(rig->script.violation, "");
    assert_ends(rig, LB_END_ERROR, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_count_is_reached),
        TEST(the_count_is_exceeded_by_accepts),
        TEST(accepted_ahead_waits_its_turn),
        TEST(streams_are_numbered_as_they_begin),
        TEST(an_end_wakes_the_hungry),
        TEST(a_refused_stream_makes_room),
        TEST(one_stream_per_worker),
        TEST(a_full_table_turns_away),
        TEST(a_failed_accept_pauses_accepting),
        TEST(a_dead_listener_is_named),
        TEST(a_stop_ends_the_pause),
        TEST(an_idle_worker_stops),
        TEST(draining_lets_streams_end),
        TEST(draining_serves_what_was_accepted),
        TEST(draining_waits_for_the_backend),
        TEST(patience_ends),
        TEST(patience_ends_while_bytes_are_taken),
        TEST(no_patience_at_all),
        TEST(a_second_stop_ends_at_once),
        TEST(further_stops_change_nothing),
        TEST(an_eof_comes_with_the_stop),
        TEST(an_eof_comes_after_the_stop),
        TEST(a_paused_stream_is_stopped),
        TEST(a_pausing_stream_is_stopped),
        TEST(a_waiting_stream_never_begins),
        TEST(a_stop_meets_an_end_in_progress),
        TEST(draining_waits_for_an_end_in_progress),
        TEST(a_stop_keeps_an_earlier_end),
        TEST(a_stopped_end_may_take_its_time),
        TEST(a_stop_waits_for_the_committer),
        TEST(it_breaks_while_idle),
        TEST(it_breaks_and_others_are_woken),
        TEST(it_breaks_while_receiving),
        TEST(it_breaks_in_a_pause),
        TEST(it_breaks_after_a_cancel),
        TEST(it_breaks_with_a_waiting_stream),
        TEST(it_breaks_while_committing),
        TEST(it_breaks_while_an_end_is_in_progress),
        TEST(it_breaks_and_an_end_takes_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
