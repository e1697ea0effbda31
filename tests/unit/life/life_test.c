/* SPDX-License-Identifier: MIT */
/* One stream's life, by scripts: its chunks, its pauses, its one end. */
#include "unit.h"

#include "script_asserts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct stream_plan *begin(struct rig *rig, const struct lb_sink *sink)
{
    assert_int_equal(rig_init(rig, (struct script_options){.sink = sink, .count = 1}), 0);
    return rig->plan.streams;
}

static void assert_run(struct rig *rig, const struct step *steps, size_t count, const char *log,
                       enum lb_end end, uint64_t bytes)
{
    rig_assert_log(rig, steps, count, log);
    assert_int_equal(rig->script.stats.ends[end], 1);
    assert_int_equal(rig->script.stats.streams, 1);
    assert_int_equal(rig->script.stats.bytes, bytes);
}

#define ASSERT_RUN(rig, log, end, bytes, ...)                                                      \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        assert_run(rig, steps_, sizeof(steps_) / sizeof(steps_[0]), log, end, bytes);              \
    } while (0)

/* ---- data and ends --------------------------------------------------------------------------- */

static void an_empty_stream(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_EOF, 0, ACCEPT, TURN, EOF_OF(1));
}

static void data_then_eof(void **state)
{
    struct rig *rig = *state;

    begin(rig, NULL);
    ASSERT_RUN(rig, "open1 receive1 write1:10 back1 write1:4096 back1 end1:eof forget1 ",
               LB_END_EOF, 4106, ACCEPT, TURN, DATA(1, 10), TURN, TURN, DATA(1, 4096), TURN,
               EOF_OF(1));
    assert_int_equal(rig->script.stats.receives, 2);
    assert_int_equal(rig->script.stats.accepted, 1);
    assert_int_equal(rig->script.stats.partial, 0);
}

static void data_and_eof_in_one_batch(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 write1:20 back1 end1:eof forget1 ",
               LB_END_EOF, 30, ACCEPT, TURN, DATA(1, 10), DATA(1, 20), EOF_OF(1));
}

static void an_error_after_data(void **state)
{
    static const struct {
        int error;
        enum lb_end end;
        const char *log;
    } cases[] = {
        {-ECONNRESET, LB_END_RESET, "open1 receive1 write1:10 back1 end1:reset forget1 "},
        {-ETIMEDOUT, LB_END_TIMEOUT, "open1 receive1 write1:10 back1 end1:timeout forget1 "},
        {-EIO, LB_END_ERROR, "open1 receive1 write1:10 back1 end1:error forget1 "},
        /* Nobody cancelled it. */
        {-ECANCELED, LB_END_ERROR, "open1 receive1 write1:10 back1 end1:error forget1 "},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i > 0)
            script_done(&rig->script);
        begin(rig, NULL);
        ASSERT_RUN(rig, cases[i].log, cases[i].end, 10, ACCEPT, TURN, DATA(1, 10), TURN,
                   ERROR_OF(1, cases[i].error));
        assert_int_equal(rig->script.stats.partial, 1);
    }
}

static void a_sink_may_lack_everything_but_write(void **state)
{
    static const struct lb_sink *const sink = &plan_sink;
    const struct lb_sink bare = {LB_SINK_INIT, .name = "bare", .write = sink->write};

    begin(*state, &bare);
    ASSERT_RUN(*state, "receive1 write1:10 back1 forget1 ", LB_END_EOF, 10, ACCEPT, TURN,
               DATA(1, 10), EOF_OF(1));
}

static void the_greeting_is_sent_first(void **state)
{
    struct rig *rig = *state;
    char greeting[10] = "";

    assert_int_equal(rig_init(rig, (struct script_options){.count = 1, .greeting = "hello"}), 0);
    ASSERT_RUN(rig, "open1 receive1 end1:eof forget1 ", LB_END_EOF, 0, ACCEPT, TURN, EOF_OF(1));
    assert_int_equal(recv(rig->script.streams[0].peer, greeting, sizeof(greeting), 0), 5);
    assert_string_equal(greeting, "hello");
}

static void each_end_is_told(void **state)
{
    struct rig *rig = *state;
    char told[100];

    begin(rig, NULL);
    ASSERT_RUN(rig, "open1 receive1 write1:10 back1 end1:reset forget1 ", LB_END_RESET, 10, ACCEPT,
               TURN, DATA(1, 10), ERROR_OF(1, -ECONNRESET));
    snprintf(told, sizeof(told),
             "warning: stream 1 from unix:pid=%d,uid=%d: reset after 10 bytes (%s)\n", getpid(),
             (int)getuid(), strerror(ECONNRESET));
    assert_string_equal(rig->script.notes, told);
}

/* ---- a sink that fails ----------------------------------------------------------------------- */

static void a_sink_refuses_a_stream(void **state)
{
    begin(*state, NULL)->open = -EMFILE;
    ASSERT_RUN(*state, "open1 forget1 ", LB_END_SINK, 0, ACCEPT);
}

static void a_sink_fails_at_the_first_chunk(void **state)
{
    begin(*state, NULL)->writes[0] = -ENOSPC;
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 cancel1 end1:sink forget1 ", LB_END_SINK, 0,
               ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECANCELED));
}

static void data_comes_after_a_cancel(void **state)
{
    begin(*state, NULL)->writes[1] = -ENOSPC;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 back1 write1:20 back1 cancel1 back1 back1 back1 "
               "end1:sink forget1 ",
               LB_END_SINK, 10, ACCEPT, TURN, DATA(1, 10), DATA(1, 20), DATA(1, 30), TURN,
               DATA(1, 40), TURN, TURN, DATA(1, 50), ERROR_OF(1, -ECANCELED));
}

/* The sink's failure is the end, whatever the backend says later. */
static void a_sink_fails_at_the_last_chunk(void **state)
{
    begin(*state, NULL)->writes[1] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 write1:20 back1 cancel1 end1:sink forget1 ",
               LB_END_SINK, 10, ACCEPT, TURN, DATA(1, 10), DATA(1, 20), EOF_OF(1));
}

static void a_sink_fails_before_a_reset(void **state)
{
    begin(*state, NULL)->writes[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 cancel1 end1:sink forget1 ", LB_END_SINK, 0,
               ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECONNRESET));
}

static void a_pausing_sink_fails(void **state)
{
    begin(*state, &plan_pausing_sink)->writes[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 end1:sink forget1 ", LB_END_SINK, 0, ACCEPT,
               TURN, DATA(1, 10));
}

static void a_sink_fails_at_the_end(void **state)
{
    begin(*state, NULL)->ends[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 end1:eof forget1 ", LB_END_SINK, 10, ACCEPT,
               TURN, DATA(1, 10), EOF_OF(1));
}

/* It was not complete anyway: the first reason stays. */
static void a_sink_fails_at_another_end(void **state)
{
    begin(*state, NULL)->ends[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 end1:reset forget1 ", LB_END_RESET, 0, ACCEPT, TURN,
               ERROR_OF(1, -ECONNRESET));
}

static ssize_t have_no_place_at_first(struct lb_stream *stream, void *context, void **data)
{
    static unsigned calls;
    static uint8_t place[SCRIPT_SLOT_SIZE];

    (void)stream;
    (void)context;
    *data = place;
    return calls++ == 0 ? -ENOSPC : (ssize_t)sizeof(place);
}

/* What place fails with after open ends the stream, and not what it says the next time. */
static void a_sink_fails_to_make_place(void **state)
{
    struct rig *rig = *state;
    struct lb_sink sink = plan_sink;

    sink.place = have_no_place_at_first;
    begin(rig, &sink);
    ASSERT_RUN(rig, "open1 end1:sink forget1 ", LB_END_SINK, 0, ACCEPT);
    assert_non_null(strstr(rig->script.notes, "No space left"));
}

/* ---- splicing -------------------------------------------------------------------------------- */

/* Large pieces only, and as long as they are large. */
static void large_pieces_are_spliced(void **state)
{
    FILE *file = tmpfile();
    uint8_t byte;

    plan_target = fileno(file);
    begin(*state, &plan_target_sink);
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 back1 receive1 write1:4096 back1 await1 await1 receive1 "
               "end1:eof forget1 ",
               LB_END_EOF, 10 + 4096 + 65536 + 100, ACCEPT, TURN, DATA(1, 10), TURN, DATA(1, 4096),
               TURN, READABLE(1, 65536), TURN, READABLE(1, 100), TURN, EOF_OF(1));
    assert_int_equal(lseek(plan_target, 0, SEEK_END), 65536 + 100);
    assert_int_equal(pread(plan_target, &byte, 1, 65536 + 99), 1);
    plan_target = -1;
    fclose(file);
}

/* A target that can't be spliced to gets what is in the pipe by write, and everything after it. */
static void a_target_that_refuses(void **state)
{
    FILE *file = tmpfile();

    plan_target = fileno(file);
    begin(*state, &plan_target_sink);
    ASSERT_RUN(*state,
               "open1 receive1 write1:4096 back1 await1 write1:1000 receive1 write1:4096 back1 "
               "receive1 end1:eof forget1 ",
               LB_END_EOF, 2 * 4096 + 1000, ACCEPT, TURN, DATA(1, 4096), TURN, REFUSE,
               READABLE(1, 1000), TURN, DATA(1, 4096), TURN, EOF_OF(1));
    plan_target = -1;
    fclose(file);
}

static void a_reset_while_splicing(void **state)
{
    FILE *file = tmpfile();

    plan_target = fileno(file);
    begin(*state, &plan_target_sink);
    ASSERT_RUN(*state, "open1 receive1 write1:4096 back1 await1 end1:reset forget1 ", LB_END_RESET,
               4096, ACCEPT, TURN, DATA(1, 4096), TURN, ERROR_OF(1, -ECONNRESET));
    plan_target = -1;
    fclose(file);
}

/* Its readiness is in the batch already, behind the stop. */
static void a_stop_while_splicing(void **state)
{
    FILE *file = tmpfile();

    plan_target = fileno(file);
    begin(*state, &plan_target_sink);
    ASSERT_RUN(*state, "open1 receive1 write1:4096 back1 await1 cancel1 end1:stopped forget1 ",
               LB_END_STOPPED, 4096, ACCEPT, TURN, DATA(1, 4096), TURN, STOP, STOP, TURN,
               READABLE(1, 10));
    plan_target = -1;
    fclose(file);
}

/* ---- pauses ---------------------------------------------------------------------------------- */

static void a_sink_pauses(void **state)
{
    struct stream_plan *plan = begin(*state, &plan_pausing_sink);

    plan->writes[0] = 4;
    plan->writes[1] = TAKE_NONE;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 watch1 ready1 write1:6 watch1 ready1 write1:6 back1 "
               "receive1 write1:20 back1 receive1 end1:eof forget1 ",
               LB_END_EOF, 30, ACCEPT, TURN, DATA(1, 10), TURN, READY(1), TURN, READY(1), TURN,
               DATA(1, 20), TURN, EOF_OF(1));
}

static void a_sink_fails_after_a_pause(void **state)
{
    struct stream_plan *plan = begin(*state, &plan_pausing_sink);

    plan->writes[0] = 4;
    plan->writes[1] = -EPIPE;
    ASSERT_RUN(*state, "open1 receive1 write1:10 watch1 ready1 write1:6 back1 end1:sink forget1 ",
               LB_END_SINK, 4, ACCEPT, TURN, DATA(1, 10), TURN, READY(1));
}

static void ready_fails_in_a_pause(void **state)
{
    struct stream_plan *plan = begin(*state, &plan_pausing_sink);

    plan->writes[0] = 4;
    plan->readies[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 write1:10 watch1 ready1 back1 end1:sink forget1 ",
               LB_END_SINK, 4, ACCEPT, TURN, DATA(1, 10), TURN, READY(1));
}

static void ready_fails_while_receiving(void **state)
{
    struct stream_plan *plan = begin(*state, &plan_pausing_sink);

    plan->writes[0] = 4;
    plan->readies[1] = -EIO;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 watch1 ready1 write1:6 back1 receive1 ready1 cancel1 "
               "end1:sink forget1 ",
               LB_END_SINK, 10, ACCEPT, TURN, DATA(1, 10), TURN, READY(1), TURN, READY(1), TURN,
               ERROR_OF(1, -ECANCELED));
}

/* Its one chunk is in the batch already, behind the failure. */
static void ready_fails_before_the_chunk(void **state)
{
    struct stream_plan *plan = begin(*state, &plan_pausing_sink);

    plan->writes[0] = 4;
    plan->readies[1] = -EIO;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 watch1 ready1 write1:6 back1 receive1 ready1 cancel1 "
               "back1 end1:sink forget1 ",
               LB_END_SINK, 10, ACCEPT, TURN, DATA(1, 10), TURN, READY(1), TURN, READY(1),
               DATA(1, 20));
}

/* Ready without cause: retrying is harmless. */
static void ready_comes_too_often(void **state)
{
    struct stream_plan *plan = begin(*state, &plan_pausing_sink);

    plan->writes[0] = plan->writes[1] = TAKE_NONE;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 watch1 ready1 write1:10 watch1 ready1 write1:10 back1 "
               "receive1 ready1 end1:eof forget1 ",
               LB_END_EOF, 10, ACCEPT, TURN, DATA(1, 10), TURN, READY(1), READY(1), READY(1), TURN,
               EOF_OF(1));
}

static void ready_comes_after_the_end(void **state)
{
    begin(*state, &plan_pausing_sink)->writes[0] = 4;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 watch1 ready1 write1:6 back1 receive1 end1:eof forget1 ",
               LB_END_EOF, 10, ACCEPT, TURN, DATA(1, 10), TURN, READY(1), TURN, EOF_OF(1), READY(1),
               READY(1));
}

/* Its memory is another stream's by then. That one is asked to try again, which does no harm. */
static void ready_comes_long_after_the_end(void **state)
{
    const struct step steps[] = {ACCEPT,      TURN, DATA(1, 10), TURN,     READY(1), TURN,
                                 EOF_OF(1),   TURN, READY(1),    ACCEPT,   TURN,     READY(1),
                                 DATA(2, 20), TURN, READY(1),    EOF_OF(2)};
    struct rig *rig = *state;

    assert_int_equal(rig_init(rig, (struct script_options){.sink = &plan_pausing_sink, .count = 2}),
                     0);
    rig->plan.streams[0].writes[0] = 4;
    rig_run(rig, steps, sizeof(steps) / sizeof(steps[0]));
    assert_string_equal(rig->script.violation, "");
    assert_string_equal(rig->script.log,
                        "open1 receive1 write1:10 watch1 ready1 write1:6 back1 receive1 end1:eof "
                        "forget1 open2 receive2 ready2 write2:20 back2 receive2 ready2 end2:eof "
                        "forget2 ");
    assert_int_equal(rig->script.stats.bytes, 30);
}

/* ---- ends that take their time --------------------------------------------------------------- */

static void an_end_in_progress(void **state)
{
    struct stream_plan *plan = begin(*state, NULL);

    plan->ends[0] = plan->ends[1] = -EINPROGRESS;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 back1 end1:eof watch1 ready1 end1:eof watch1 ready1 "
               "end1:eof forget1 ",
               LB_END_EOF, 10, ACCEPT, TURN, DATA(1, 10), EOF_OF(1), TURN, READY(1), TURN, TURN,
               READY(1));
}

static void an_end_in_progress_fails(void **state)
{
    struct stream_plan *plan = begin(*state, NULL);

    plan->ends[0] = -EINPROGRESS;
    plan->ends[1] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 end1:eof watch1 ready1 end1:eof forget1 ", LB_END_SINK, 0,
               ACCEPT, TURN, EOF_OF(1), TURN, READY(1));
}

static void ready_fails_at_an_end_in_progress(void **state)
{
    struct stream_plan *plan = begin(*state, NULL);

    plan->ends[0] = -EINPROGRESS;
    plan->readies[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 end1:eof watch1 ready1 end1:sink forget1 ", LB_END_SINK, 0,
               ACCEPT, TURN, EOF_OF(1), TURN, READY(1));
}

static void ready_twice_at_an_end_in_progress(void **state)
{
    begin(*state, NULL)->ends[0] = -EINPROGRESS;
    ASSERT_RUN(*state, "open1 receive1 end1:eof watch1 ready1 end1:eof forget1 ", LB_END_EOF, 0,
               ACCEPT, TURN, EOF_OF(1), TURN, READY(1), READY(1));
}

/* ---- the committer --------------------------------------------------------------------------- */

static struct stream_plan *begin_slow(struct rig *rig)
{
    const struct script_options options = {.sink = &plan_slow_sink, .count = 1, .committer = true};

    assert_int_equal(rig_init(rig, options), 0);
    return rig->plan.streams;
}

static void a_slow_end(void **state)
{
    begin_slow(*state);
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 end1:eof forget1 ", LB_END_EOF, 10, ACCEPT,
               TURN, DATA(1, 10), EOF_OF(1), TURN, COMMITTED);
}

static void a_slow_end_fails(void **state)
{
    begin_slow(*state)->ends[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_SINK, 0, ACCEPT, TURN, EOF_OF(1),
               TURN, COMMITTED);
}

/* As in lb_receive_fd, where the caller's thread may block. */
static void a_slow_end_without_a_committer(void **state)
{
    begin(*state, &plan_slow_sink);
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_EOF, 0, ACCEPT, TURN, EOF_OF(1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_stream),
        TEST(data_then_eof),
        TEST(data_and_eof_in_one_batch),
        TEST(an_error_after_data),
        TEST(a_sink_may_lack_everything_but_write),
        TEST(the_greeting_is_sent_first),
        TEST(each_end_is_told),
        TEST(a_sink_refuses_a_stream),
        TEST(a_sink_fails_at_the_first_chunk),
        TEST(data_comes_after_a_cancel),
        TEST(a_sink_fails_at_the_last_chunk),
        TEST(a_sink_fails_before_a_reset),
        TEST(a_pausing_sink_fails),
        TEST(a_sink_fails_at_the_end),
        TEST(a_sink_fails_at_another_end),
        TEST(a_sink_fails_to_make_place),
        TEST(large_pieces_are_spliced),
        TEST(a_target_that_refuses),
        TEST(a_reset_while_splicing),
        TEST(a_stop_while_splicing),
        TEST(a_sink_pauses),
        TEST(a_sink_fails_after_a_pause),
        TEST(ready_fails_in_a_pause),
        TEST(ready_fails_while_receiving),
        TEST(ready_fails_before_the_chunk),
        TEST(ready_comes_too_often),
        TEST(ready_comes_after_the_end),
        TEST(ready_comes_long_after_the_end),
        TEST(an_end_in_progress),
        TEST(an_end_in_progress_fails),
        TEST(ready_fails_at_an_end_in_progress),
        TEST(ready_twice_at_an_end_in_progress),
        TEST(a_slow_end),
        TEST(a_slow_end_fails),
        TEST(a_slow_end_without_a_committer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
