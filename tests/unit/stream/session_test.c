/* SPDX-License-Identifier: MIT */
/* What a sink may not return: told of, in every build, and never taken for a stream that is safe.
 */
#include "unit.h"

#include "script_asserts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { SIZE = 10, NOTHING = INT_MIN };

/* What each call returns; NOTHING: as it should. */
static struct nonsense {
    unsigned flags;
    int open, write, ready, end, settle;
    bool settles;
} nonsense;

static int value(int returned, int right)
{
    return returned == NOTHING ? right : returned;
}

static int on_open(struct lb_stream *stream, void *context)
{
    (void)stream;
    (void)context;
    return value(nonsense.open, 0);
}

static ssize_t on_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct plan *plan = context;

    (void)data;
    if (nonsense.write != NOTHING && nonsense.write < SIZE)
        lb_stream_watch(stream, plan->script->streams[0].peer, POLLOUT);
    return value(nonsense.write, (int)size);
}

static int on_ready(struct lb_stream *stream, void *context)
{
    (void)stream;
    (void)context;
    return value(nonsense.ready, 0);
}

static int on_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    (void)stream;
    (void)context;
    (void)end;
    return value(nonsense.end, 0);
}

static int on_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    (void)streams;
    (void)count;
    (void)context;
    return value(nonsense.settle, 0);
}

static const struct nonsense right = {
    .open = NOTHING, .write = NOTHING, .ready = NOTHING, .end = NOTHING, .settle = NOTHING};

/* A stream of SIZE bytes, by these steps, with a receipt. heard: what its peer is told; note: a
 * part of what the person is. */
static void run(struct rig *rig, const struct step *steps, size_t count, const char *heard_expected,
                const char *note)
{
    struct lb_sink sink = {.name = "nonsense",
                           .flags = nonsense.flags,
                           .open = on_open,
                           .write = on_write,
                           .ready = on_ready,
                           .end = on_end,
                           .settle = nonsense.settles ? on_settle : NULL};
    char heard[200] = "";

    assert_int_equal(
        rig_init(rig, (struct script_options){.sink = &sink,
                                              .count = 1,
                                              .committer = nonsense.flags & LB_SINK_SLOW_END,
                                              .receipts = true}),
        0);
    rig_run(rig, steps, count);
    assert_string_equal(rig->script.violation, "");
    assert_int_equal(rig->script.stats.ends[LB_END_SINK], 1);
    assert_int_equal(rig->script.stats.ends[LB_END_EOF], 0);
    (void)!recv(rig->script.streams[0].peer, heard, sizeof(heard) - 1, MSG_DONTWAIT);
    assert_string_equal(heard, heard_expected);
    if (!strstr(rig->script.notes, note))
        fail_msg("not told of \"%s\", but: %s", note, rig->script.notes);
}

#define RUN(heard, note, ...)                                                                      \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        run(*state, steps_, sizeof(steps_) / sizeof(steps_[0]), heard, note);                      \
    } while (0)

#define BREAKS "stream 1: the sink nonsense breaks its contract: "

static void a_sink_that_does_as_it_should(void **state)
{
    struct rig *rig = *state;
    const struct step steps[] = {ACCEPT, TURN, DATA(1, SIZE), TURN, EOF_OF(1)};
    struct lb_sink sink = {.open = on_open, .write = on_write, .ready = on_ready, .end = on_end};

    nonsense = right;
    assert_int_equal(rig_init(rig, (struct script_options){.sink = &sink, .count = 1}), 0);
    rig_run(rig, steps, 5);
    assert_int_equal(rig->script.stats.ends[LB_END_EOF], 1);
    assert_null(strstr(rig->script.notes, "contract"));
}

static void open_returns_more_than_0(void **state)
{
    nonsense = right;
    nonsense.open = 1;
    RUN("error sink:EPROTO 0\n", BREAKS "open returns more than 0", ACCEPT, TURN, CALL(peer_shuts),
        READY(1));
}

static void write_takes_too_much(void **state)
{
    nonsense = right;
    nonsense.write = SIZE + 1;
    RUN("error sink:EPROTO 0\n", BREAKS "write takes more than it is given", ACCEPT, TURN,
        DATA(1, SIZE), TURN, CALL(peer_shuts), ERROR_OF(1, -ECANCELED));
}

static void write_takes_less_and_may_not(void **state)
{
    nonsense = right;
    nonsense.write = SIZE - 1;
    RUN("error sink:EPROTO 0\n",
        BREAKS "write takes less than it is given, without LB_SINK_MAY_PAUSE", ACCEPT, TURN,
        DATA(1, SIZE), TURN, CALL(peer_shuts), ERROR_OF(1, -ECANCELED));
}

static void write_takes_nothing_and_may_not(void **state)
{
    nonsense = right;
    nonsense.write = 0;
    RUN("error sink:EPROTO 0\n", BREAKS "write takes less", ACCEPT, TURN, DATA(1, SIZE), TURN,
        CALL(peer_shuts), ERROR_OF(1, -ECANCELED));
}

static void ready_returns_more_than_0(void **state)
{
    nonsense = right;
    nonsense.flags = LB_SINK_MAY_PAUSE;
    nonsense.write = SIZE - 1;
    nonsense.ready = 1;
    RUN("error sink:EPROTO 9\n", BREAKS "ready returns more than 0", ACCEPT, TURN, DATA(1, SIZE),
        TURN, CALL(peer_shuts), READY(1));
}

static void end_is_out_of_range(void **state)
{
    nonsense = right;
    nonsense.end = LB_UNSETTLED + 1;
    RUN("error sink:EPROTO 10\n", BREAKS "end returns nonsense", ACCEPT, TURN, DATA(1, SIZE), TURN,
        CALL(peer_shuts), EOF_OF(1));
}

static void end_is_unsettled_without_settle(void **state)
{
    nonsense = right;
    nonsense.flags = LB_SINK_SLOW_END;
    nonsense.end = LB_UNSETTLED;
    RUN("error sink:EPROTO 10\n", BREAKS "end returns LB_UNSETTLED", ACCEPT, TURN, DATA(1, SIZE),
        TURN, CALL(peer_shuts), EOF_OF(1), TURN, COMMITTED);
}

/* It would block the worker. */
static void end_is_unsettled_on_the_worker(void **state)
{
    nonsense = right;
    nonsense.settles = true;
    nonsense.end = LB_UNSETTLED;
    RUN("error sink:EPROTO 10\n", BREAKS "end returns LB_UNSETTLED", ACCEPT, TURN, DATA(1, SIZE),
        TURN, CALL(peer_shuts), EOF_OF(1));
}

static void a_slow_end_is_in_progress(void **state)
{
    nonsense = right;
    nonsense.flags = LB_SINK_SLOW_END;
    nonsense.end = -EINPROGRESS;
    RUN("error sink:EPROTO 10\n", BREAKS "end returns -EINPROGRESS", ACCEPT, TURN, DATA(1, SIZE),
        TURN, CALL(peer_shuts), EOF_OF(1), TURN, COMMITTED);
}

static void settle_returns(void **state, int result)
{
    nonsense = right;
    nonsense.flags = LB_SINK_SLOW_END;
    nonsense.settles = true;
    nonsense.end = LB_UNSETTLED;
    nonsense.settle = result;
    RUN("error sink:EPROTO 10\n", BREAKS "settle returns nonsense", ACCEPT, TURN, DATA(1, SIZE),
        TURN, CALL(peer_shuts), EOF_OF(1), TURN, COMMITTED);
}

static void settle_returns_more_than_0(void **state)
{
    settle_returns(state, 1);
}

static void settle_is_in_progress(void **state)
{
    settle_returns(state, -EINPROGRESS);
}

/* No contract is broken by an error that nobody knows; it is one all the same. */
static void an_error_that_is_none(void **state)
{
    nonsense = right;
    nonsense.end = -100000;
    RUN("error sink:100000 10\n", "stream 1 from", ACCEPT, TURN, DATA(1, SIZE), TURN,
        CALL(peer_shuts), EOF_OF(1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sink_that_does_as_it_should),
        TEST(open_returns_more_than_0),
        TEST(write_takes_too_much),
        TEST(write_takes_less_and_may_not),
        TEST(write_takes_nothing_and_may_not),
        TEST(ready_returns_more_than_0),
        TEST(end_is_out_of_range),
        TEST(end_is_unsettled_without_settle),
        TEST(end_is_unsettled_on_the_worker),
        TEST(a_slow_end_is_in_progress),
        TEST(settle_returns_more_than_0),
        TEST(settle_is_in_progress),
        TEST(an_error_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
