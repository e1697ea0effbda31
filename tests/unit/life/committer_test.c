/* SPDX-License-Identifier: MIT */
/* The committer: slow ends one at a time, in the order of ends, and each back to its worker; with
 * settle several at a time, settled in groups. */
#include "unit.h"

#include "support.h"

#include "committer.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STREAMS = 200, NO_ERRNO = 1000 /* so that no result means anything else */ };

/* A lane that receives nothing: just enough for ends. */
struct rig {
    struct lb_committer committer;
    struct lb_notes notes;
    struct lb_lane lane;
    struct lb_rules rules; /* no limits */
    struct lb_stream streams[STREAMS];
    struct gate gate; /* the first end waits for it */
    bool gated;

    /* Written by the committer's thread alone. */
    uint64_t order[STREAMS];
    enum lb_end ends[STREAMS];
    _Atomic unsigned count;
    _Atomic int inside, overlaps;
    pthread_t thread;
};

static int slow_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct rig *rig = context;
    unsigned count = atomic_load(&rig->count);

    if (atomic_fetch_add(&rig->inside, 1) != 0)
        atomic_fetch_add(&rig->overlaps, 1);
    rig->thread = pthread_self();
    if (rig->gated)
        gate_wait(&rig->gate);
    rig->order[count] = lb_stream_id(stream);
    rig->ends[count] = end;
    atomic_fetch_sub(&rig->inside, 1);
    atomic_store(&rig->count, count + 1);
    return -NO_ERRNO - (int)lb_stream_id(stream);
}

static const struct lb_sink slow_sink = {
    LB_SINK_INIT,
    .name = "slow",
    .flags = LB_SINK_SLOW_END,
    .end = slow_end,
};

/* ---- in groups: which end and which settle wait for the gate is for the test to say ---------- */

static struct {
    _Atomic unsigned ended, settles, settled;
    _Atomic unsigned largest;
    uint64_t stalled; /* the stream whose end waits, or 0 */
    bool settle_waits;
    int result;
} groups;

static int quick_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct rig *rig = context;

    (void)end;
    if (lb_stream_id(stream) == groups.stalled)
        gate_wait(&rig->gate);
    atomic_fetch_add(&groups.ended, 1);
    return LB_UNSETTLED;
}

static int settle(struct lb_stream *const *streams, size_t count, void *context)
{
    struct rig *rig = context;

    if (atomic_fetch_add(&rig->inside, 1) != 0)
        atomic_fetch_add(&rig->overlaps, 1);
    for (size_t i = 0; i < count; i++)
        assert_non_null(streams[i]);
    atomic_fetch_add(&groups.settles, 1);
    if (groups.settle_waits)
        gate_wait(&rig->gate);
    if (count > atomic_load(&groups.largest))
        atomic_store(&groups.largest, (unsigned)count);
    atomic_fetch_add(&groups.settled, (unsigned)count);
    atomic_fetch_sub(&rig->inside, 1);
    return groups.result;
}

static const struct lb_sink settling_sink = {
    LB_SINK_INIT, .name = "settling", .flags = LB_SINK_SLOW_END, .end = quick_end, .settle = settle,
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    lb_notes_init(&rig->notes);
    rig->lane.notes = &rig->notes;
    rig->lane.rules = &rig->rules;
    lb_inbox_open(&rig->lane.inbox);
    for (unsigned i = 0; i < STREAMS; i++) {
        rig->streams[i].lane = &rig->lane;
        rig->streams[i].id = i + 1;
        rig->streams[i].session.sink = &slow_sink;
        rig->streams[i].session.context = rig;
        rig->streams[i].verdict.end = (enum lb_end)(i % LB_END_COUNT);
        rig->streams[i].state = LB_STREAM_COMMITTING;
    }
    *state = rig;
    return gate_init(&rig->gate);
}

static int setup_groups(void **state)
{
    int rc = setup(state);
    struct rig *rig = *state;

    for (unsigned i = 0; i < STREAMS; i++)
        rig->streams[i].session.sink = &settling_sink;
    memset(&groups, 0, sizeof(groups));
    return rc;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    lb_committer_stop(&rig->committer);
    lb_inbox_close(&rig->lane.inbox);
    lb_notes_done(&rig->notes);
    gate_done(&rig->gate);
    free(rig);
    return 0;
}

static unsigned count_back(struct rig *rig)
{
    struct lb_inbox *inbox = &rig->lane.inbox;
    unsigned count = 0;

    pthread_mutex_lock(&inbox->lock);
    for (struct lb_letter *letter = inbox->first; letter; letter = letter->next)
        count++;
    pthread_mutex_unlock(&inbox->lock);
    return count;
}

static void assert_all_done_in_order(const struct rig *rig)
{
    assert_int_equal(rig->count, STREAMS);
    assert_int_equal(rig->overlaps, 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_int_equal(rig->order[i], i + 1);
        assert_int_equal(rig->ends[i], i % LB_END_COUNT);
        assert_int_equal(rig->streams[i].end_result, -NO_ERRNO - (int)(i + 1));
    }
}

static void runs_ends_in_order_and_one_at_a_time(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    for (unsigned i = 0; i < STREAMS; i++)
        lb_committer_submit(&rig->committer, &rig->streams[i]);
    lb_committer_stop(&rig->committer);
    assert_all_done_in_order(rig);
    assert_int_equal(count_back(rig), STREAMS);
    assert_false(pthread_equal(rig->thread, pthread_self()));
}

/* Whoever submits never waits for an end, however long that takes; and stop waits for them all. */
static void submitting_does_not_wait(void **state)
{
    struct rig *rig = *state;

    rig->gated = true;
    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    for (unsigned i = 0; i < STREAMS; i++)
        lb_committer_submit(&rig->committer, &rig->streams[i]);
    assert_int_equal(rig->count, 0);
    assert_int_equal(count_back(rig), 0);
    gate_open(&rig->gate);
    lb_committer_stop(&rig->committer);
    assert_all_done_in_order(rig);
}

static void wakes_the_worker_for_each(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    for (unsigned i = 0; i < 20; i++) {
        struct pollfd poller = {.fd = rig->lane.inbox.wake_fd, .events = POLLIN};
        uint64_t wakes;

        lb_committer_submit(&rig->committer, &rig->streams[i]);
        assert_int_equal(poll(&poller, 1, patience_ms()), 1);
        assert_int_equal(read(rig->lane.inbox.wake_fd, &wakes, sizeof(wakes)), sizeof(wakes));
        assert_int_equal(wakes, 1);
        /* The wake comes after the stream, so that whoever was woken finds it. */
        assert_int_equal(count_back(rig), i + 1);
    }
}

static void stops_with_nothing_done(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    lb_committer_stop(&rig->committer);
    assert_int_equal(rig->count, 0);
    /* Again, and it may be started again. */
    lb_committer_stop(&rig->committer);
    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    lb_committer_submit(&rig->committer, &rig->streams[0]);
    lb_committer_stop(&rig->committer);
    assert_int_equal(rig->count, 1);
}

static void stopping_what_never_ran_does_nothing(void **state)
{
    struct rig *rig = *state;

    lb_committer_stop(&rig->committer);
    assert_false(rig->committer.running);
}

static bool await_count(_Atomic unsigned *count, unsigned wanted)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    while (atomic_load(count) < wanted && time_now_ns() < deadline)
        time_nap();
    return atomic_load(count) >= wanted;
}

static void submit(struct rig *rig, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        lb_committer_submit(&rig->committer, &rig->streams[i]);
}

static void assert_all_back(struct rig *rig, int result)
{
    lb_committer_stop(&rig->committer);
    assert_int_equal(count_back(rig), STREAMS);
    for (unsigned i = 0; i < STREAMS; i++)
        assert_int_equal(rig->streams[i].end_result, result);
    assert_int_equal(groups.settled, STREAMS);
    assert_int_equal(rig->overlaps, 0);
}

/* While one settle works, those that end meanwhile gather for the next. */
static void settles_many_at_once(void **state)
{
    struct rig *rig = *state;

    groups.settle_waits = true;
    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    submit(rig, 0, 1);
    assert_true(await_count(&groups.settles, 1));
    submit(rig, 1, STREAMS);
    assert_true(await_count(&groups.ended, STREAMS));
    assert_int_equal(count_back(rig), 0);
    gate_open(&rig->gate);
    assert_all_back(rig, 0);
    /* A thread may not have put the stream that it has just ended with the others yet. */
    assert_in_range(groups.settles, 2, 2 + LB_COMMITTER_THREADS);
    assert_in_range(groups.largest, STREAMS - 1 - LB_COMMITTER_THREADS, STREAMS - 1);
}

/* One end that stalls keeps nobody else. */
static void settles_beside_an_end_that_stalls(void **state)
{
    struct rig *rig = *state;

    groups.stalled = 1;
    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    submit(rig, 0, STREAMS);
    assert_true(await_count(&groups.settled, STREAMS - 1));
    gate_open(&rig->gate);
    assert_all_back(rig, 0);
}

static void a_failed_settle_fails_its_streams(void **state)
{
    struct rig *rig = *state;

    groups.result = -EIO;
    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    submit(rig, 0, STREAMS);
    assert_all_back(rig, -EIO);
}

/* A stream that is alone is settled at once. */
static void settles_one_by_one_if_they_come_so(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(lb_committer_start(&rig->committer, rig->streams[0].session.sink), 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        submit(rig, i, i + 1);
        assert_true(await_count(&groups.settled, i + 1));
    }
    assert_all_back(rig, 0);
    assert_int_equal(groups.settles, STREAMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_ends_in_order_and_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(submitting_does_not_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(wakes_the_worker_for_each, setup, teardown),
        cmocka_unit_test_setup_teardown(settles_many_at_once, setup_groups, teardown),
        cmocka_unit_test_setup_teardown(settles_beside_an_end_that_stalls, setup_groups, teardown),
        cmocka_unit_test_setup_teardown(a_failed_settle_fails_its_streams, setup_groups, teardown),
        cmocka_unit_test_setup_teardown(settles_one_by_one_if_they_come_so, setup_groups, teardown),
        cmocka_unit_test_setup_teardown(stops_with_nothing_done, setup, teardown),
        cmocka_unit_test_setup_teardown(stopping_what_never_ran_does_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
