/* SPDX-License-Identifier: MIT */
/* Sinks that decide the end of their stream, by scripts: lb_stream_finish and lb_stream_refuse from
 * each call that may, and a close after which the peer has all that it was told, and no reset. */
#include "unit.h"

#include "script_asserts.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "thank you\n", refusal[] = "no room\nfor you\n";

/* What the sink does in one of its calls, once. */
static struct decision {
    enum { IN_OPEN = 1, IN_WRITE, IN_READY, IN_END } where;
    enum { FINISH, REFUSE_IT, REFUSE_AND_GO_ON, REFUSE_AND_FINISH } what;
    long take;  /* IN_WRITE: of the bytes; 0: all */
    bool waits; /* the first write takes nothing, and the first end is in progress */
    bool done;
} decision;

static struct script *script_of(void *context)
{
    return ((struct plan *)context)->script;
}

static void say(struct lb_stream *stream, struct script *script)
{
    if (lb_stream_say(stream, answer, strlen(answer)) != (ssize_t)strlen(answer))
        script_violate(script, "the answer was not said");
}

/* Returns what the call should return in place of 0. */
static int decide(struct lb_stream *stream, struct script *script, int where)
{
    int rc;

    if (decision.done || (int)decision.where != where)
        return 0;
    decision.done = true;
    if (decision.what == FINISH) {
        say(stream, script);
        if (lb_stream_finish(stream) != 0)
            script_violate(script, "the stream can't be finished");
        return 0;
    }
    rc = lb_stream_refuse(stream, refusal);
    if (rc != -ECONNREFUSED)
        script_violate(script, "the stream can't be refused: %d", rc);
    if (decision.what == REFUSE_AND_FINISH && lb_stream_finish(stream) != -EBUSY)
        script_violate(script, "a refused stream was finished");
    return decision.what == REFUSE_IT ? rc : 0;
}

static int decide_open(struct lb_stream *stream, void *context)
{
    script_log(script_of(context), "open ");
    return decide(stream, script_of(context), IN_OPEN);
}

static ssize_t decide_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct script *script = script_of(context);
    int rc;

    (void)data;
    script_log(script, "write:%zu ", size);
    if (decision.waits && !decision.done)
        return lb_stream_alarm(stream, LB_NO_ALARM);
    rc = decide(stream, script, IN_WRITE);
    return rc < 0 ? rc : decision.done && decision.take ? decision.take : (ssize_t)size;
}

static int decide_ready(struct lb_stream *stream, void *context)
{
    script_log(script_of(context), "ready ");
    return decide(stream, script_of(context), IN_READY);
}

static int decide_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct script *script = script_of(context);

    script_log(script, "end:%s ", lb_end_name(end));
    if (lb_stream_finish(stream) != -EBUSY)
        script_violate(script, "a stream was finished in its end");
    if (decision.waits && !decision.done)
        return -EINPROGRESS;
    return decide(stream, script, IN_END);
}

static const struct lb_sink sink = {
    LB_SINK_INIT,          .name = "decider",     .open = decide_open,
    .write = decide_write, .ready = decide_ready, .end = decide_end,
};

static const struct lb_sink pausing_sink = {
    LB_SINK_INIT,          .name = "decider",     .flags = LB_SINK_MAY_PAUSE, .open = decide_open,
    .write = decide_write, .ready = decide_ready, .end = decide_end,
};

static void begin(struct rig *rig, const struct lb_sink *decider, struct decision decided)
{
    decision = decided;
    assert_int_equal(rig_init(rig, (struct script_options){.sink = decider, .count = 1}), 0);
}

/* The peer has heard this, then an EOF: of a Unix socket, too, a close over bytes that nobody has
 * received is a reset. */
static void assert_heard(struct rig *rig, const char *expected)
{
    char heard[200] = "";
    int peer = script_peer(&rig->script);

    assert_int_equal(recv(peer, heard, strlen(expected), MSG_DONTWAIT), strlen(expected));
    assert_string_equal(heard, expected);
    assert_int_equal(recv(peer, heard, 1, MSG_DONTWAIT), 0);
}

static void assert_run(struct rig *rig, const struct step *steps, size_t count, const char *log,
                       enum lb_end end, const char *heard)
{
    rig_assert_log(rig, steps, count, log);
    assert_true(decision.done);
    assert_int_equal(rig->script.stats.ends[end], 1);
    assert_int_equal(rig->script.stats.streams, 1);
    assert_heard(rig, heard);
}

#define ASSERT_RUN(rig, log, end, heard, ...)                                                      \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        assert_run(rig, steps_, sizeof(steps_) / sizeof(steps_[0]), log, end, heard);              \
    } while (0)

static void wake(struct script *script)
{
    struct lb_call *call = calloc(1, sizeof(*call));

    if (!call)
        abort();
    *call = (struct lb_call){.letter.kind = LB_LETTER_WAKE, .id = 1};
    lb_inbox_post(&script->worker.lane.inbox, &call->letter);
}

/* ---- finish ---------------------------------------------------------------------------------- */

/* An event is owed: it is cancelled first. Then what the peer sends is dropped, until its EOF. */
static void finished_in_write(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_WRITE, .what = FINISH, .take = 6});
    ASSERT_RUN(rig, "open receive1 write:10 back1 cancel1 end:eof watch1 watch1 unwatch1 forget1 ",
               LB_END_EOF, answer, ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECANCELED), TURN,
               CALL(peer_sends), READY(1), TURN, CALL(peer_sends), CALL(peer_shuts), READY(1));
    assert_int_equal(rig->script.stats.bytes, 6);
    assert_int_equal(rig->script.stats.partial, 0);
}

/* The peer's EOF was in the batch already: there is nothing to drop. */
static void finished_at_its_eof(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_WRITE, .what = FINISH});
    ASSERT_RUN(rig, "open receive1 write:10 back1 cancel1 end:eof forget1 ", LB_END_EOF, answer,
               ACCEPT, TURN, DATA(1, 10), EOF_OF(1));
}

/* What comes between the cancel and its event reaches no sink. */
static void finished_before_more_comes(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_WRITE, .what = FINISH});
    ASSERT_RUN(rig, "open receive1 write:10 back1 cancel1 back1 end:eof watch1 unwatch1 forget1 ",
               LB_END_EOF, answer, ACCEPT, TURN, DATA(1, 10), TURN, DATA(1, 20), TURN,
               ERROR_OF(1, -ECANCELED), TURN, CALL(peer_shuts), READY(1));
    assert_int_equal(rig->script.stats.bytes, 10);
}

/* A reset that comes before the cancel's event changes nothing: it was complete. */
static void finished_before_a_reset(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_WRITE, .what = FINISH});
    ASSERT_RUN(rig, "open receive1 write:10 back1 cancel1 end:eof forget1 ", LB_END_EOF, answer,
               ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECONNRESET));
}

/* One by one: no event is owed. */
static void finished_by_a_sink_that_pauses(void **state)
{
    struct rig *rig = *state;

    begin(rig, &pausing_sink, (struct decision){.where = IN_WRITE, .what = FINISH, .take = 1});
    ASSERT_RUN(rig, "open receive1 write:10 back1 end:eof watch1 unwatch1 forget1 ", LB_END_EOF,
               answer, ACCEPT, TURN, DATA(1, 10), TURN, CALL(peer_sends), CALL(peer_shuts),
               READY(1));
    assert_int_equal(rig->script.stats.bytes, 1);
}

static void finished_in_open(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_OPEN, .what = FINISH});
    ASSERT_RUN(rig, "open end:eof watch1 unwatch1 forget1 ", LB_END_EOF, answer, ACCEPT, TURN,
               CALL(peer_sends), CALL(peer_shuts), READY(1));
}

static void finished_in_a_pause(void **state)
{
    struct rig *rig = *state;

    begin(rig, &pausing_sink, (struct decision){.where = IN_READY, .what = FINISH, .waits = true});
    ASSERT_RUN(rig, "open receive1 write:10 ready back1 end:eof watch1 unwatch1 forget1 ",
               LB_END_EOF, answer, ACCEPT, TURN, DATA(1, 10), TURN, CALL(wake), WAKE, TURN,
               CALL(peer_shuts), READY(1));
    assert_int_equal(rig->script.stats.bytes, 0);
}

static void finished_in_ready_while_receiving(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_READY, .what = FINISH});
    ASSERT_RUN(rig, "open receive1 ready cancel1 end:eof watch1 unwatch1 forget1 ", LB_END_EOF,
               answer, ACCEPT, TURN, CALL(wake), WAKE, TURN, ERROR_OF(1, -ECANCELED), TURN,
               CALL(peer_shuts), READY(1));
}

/* ---- refuse ---------------------------------------------------------------------------------- */

static void refused_in_write(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_WRITE, .what = REFUSE_IT});
    ASSERT_RUN(rig, "open receive1 write:10 back1 cancel1 end:sink watch1 watch1 unwatch1 forget1 ",
               LB_END_SINK, refusal, ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECANCELED), TURN,
               CALL(peer_sends), READY(1), TURN, CALL(peer_shuts), READY(1));
    assert_int_equal(rig->script.stats.bytes, 0);
    assert_non_null(strstr(rig->script.notes, "refused by the sink decider: no room\n"));
}

/* A write that goes on: what it takes counts, and what it has refused stays refused. */
static void refused_with_what_it_took(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_WRITE, .what = REFUSE_AND_FINISH, .take = 4});
    ASSERT_RUN(rig, "open receive1 write:10 back1 cancel1 end:sink watch1 unwatch1 forget1 ",
               LB_END_SINK, refusal, ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECANCELED), TURN,
               CALL(peer_sends), CALL(peer_shuts), READY(1));
    assert_int_equal(rig->script.stats.bytes, 4);
}

/* It has opened nothing, so there is no end. */
static void refused_in_open(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_OPEN, .what = REFUSE_IT});
    ASSERT_RUN(rig, "open watch1 unwatch1 forget1 ", LB_END_SINK, refusal, ACCEPT, TURN,
               CALL(peer_sends), CALL(peer_shuts), READY(1));
}

static void refused_in_open_that_goes_on(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_OPEN, .what = REFUSE_AND_GO_ON});
    ASSERT_RUN(rig, "open end:sink watch1 unwatch1 forget1 ", LB_END_SINK, refusal, ACCEPT, TURN,
               CALL(peer_sends), CALL(peer_shuts), READY(1));
}

static void refused_in_a_pause(void **state)
{
    struct rig *rig = *state;

    begin(rig, &pausing_sink,
          (struct decision){.where = IN_READY, .what = REFUSE_IT, .waits = true});
    ASSERT_RUN(rig, "open receive1 write:10 ready back1 end:sink watch1 unwatch1 forget1 ",
               LB_END_SINK, refusal, ACCEPT, TURN, DATA(1, 10), TURN, CALL(wake), WAKE, TURN,
               CALL(peer_sends), CALL(peer_shuts), READY(1));
}

/* All of it has come, and the sink won't have it: there is nothing to drop. */
static void refused_in_end(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_END, .what = REFUSE_IT});
    ASSERT_RUN(rig, "open receive1 write:10 back1 end:eof forget1 ", LB_END_SINK, refusal, ACCEPT,
               TURN, DATA(1, 10), CALL(peer_shuts), EOF_OF(1));
}

static void refused_in_an_end_that_goes_on(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_END, .what = REFUSE_AND_GO_ON});
    ASSERT_RUN(rig, "open receive1 end:eof forget1 ", LB_END_SINK, refusal, ACCEPT, TURN,
               CALL(peer_shuts), EOF_OF(1));
}

static void refused_by_ready_of_an_end_in_progress(void **state)
{
    struct rig *rig = *state;

    begin(rig, &sink, (struct decision){.where = IN_READY, .what = REFUSE_IT, .waits = true});
    ASSERT_RUN(rig, "open receive1 end:eof ready end:sink forget1 ", LB_END_SINK, refusal, ACCEPT,
               TURN, CALL(peer_shuts), EOF_OF(1), TURN, CALL(wake), WAKE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finished_in_write),
        TEST(finished_at_its_eof),
        TEST(finished_before_more_comes),
        TEST(finished_before_a_reset),
        TEST(finished_by_a_sink_that_pauses),
        TEST(finished_in_open),
        TEST(finished_in_a_pause),
        TEST(finished_in_ready_while_receiving),
        TEST(refused_in_write),
        TEST(refused_with_what_it_took),
        TEST(refused_in_open),
        TEST(refused_in_open_that_goes_on),
        TEST(refused_in_a_pause),
        TEST(refused_in_end),
        TEST(refused_in_an_end_that_goes_on),
        TEST(refused_by_ready_of_an_end_in_progress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
