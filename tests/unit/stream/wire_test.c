/* SPDX-License-Identifier: MIT */
/* The wire, by scripts: what a sink says to a peer that doesn't read, and its alarm. */
#include "unit.h"

#include "clock.h"
#include "life.h"
#include "script_asserts.h"
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what happens meanwhile ------------------------------------------------------------------ */

static void socket_fills(struct script *script)
{
    char bytes[1000] = "";

    while (send(script->streams[0].fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    while (send(script->streams[0].fd, bytes, 1, MSG_DONTWAIT) > 0)
        ;
}

/* Bytes that begin with 'x', 'y' ... tell what was heard. */
static char heard[1 << 20];
static size_t heard_size;

static void peer_reads_all(struct script *script)
{
    ssize_t got;

    while ((got = recv(script_peer(script), heard + heard_size, sizeof(heard) - heard_size,
                       MSG_DONTWAIT)) > 0)
        heard_size += (size_t)got;
}

static void expect(struct script *script, long got, long wanted, const char *what)
{
    if (got != wanted)
        script_violate(script, "%s is %ld, not %ld", what, got, wanted);
}

static uint8_t said[2 * LB_WIRE_QUEUE_MAX];

static void say(struct script *script, size_t size, ssize_t taken)
{
    memset(said, 'x', sizeof(said));
    expect(script, lb_stream_say(script_stream(script), said, size), taken, "what say takes");
}

static void says_more_than_the_queue_takes(struct script *script)
{
    say(script, sizeof(said), LB_WIRE_QUEUE_MAX);
    say(script, 1, -EAGAIN);
    say(script, 0, 0);
    expect(script, (long)script_stream(script)->wire.queued, LB_WIRE_QUEUE_MAX, "the queue");
}

static void says_a_bit(struct script *script)
{
    say(script, 100, 100);
}

static void says_a_bit_more(struct script *script)
{
    say(script, 10, 10);
}

static void is_busy(struct script *script)
{
    say(script, 10, -EBUSY);
    expect(script, lb_stream_alarm(script_stream(script), 0), -EBUSY, "an alarm");
}

static void is_busy_for_watches(struct script *script)
{
    is_busy(script);
    expect(script, lb_stream_watch(script_stream(script), script_peer(script), POLLOUT), -EBUSY,
           "a watch");
}

static void peer_has_gone(struct script *script)
{
    say(script, 10, -EPIPE);
    expect(script, (long)script_stream(script)->wire.queued, 0, "the queue");
}

static bool same_file(int a, int b)
{
    struct stat first, second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino;
}

static void a_duplicate_is_watched(struct script *script)
{
    const struct script_stream *stream = &script->streams[0];

    if (stream->watched == stream->fd || !same_file(stream->watched, stream->fd))
        script_violate(script, "descriptor %d is watched, of the connection %d", stream->watched,
                       stream->fd);
}

static void the_connection_is_watched(struct script *script)
{
    expect(script, script->streams[0].watched, script->streams[0].fd, "what is watched");
}

static void patience_is_the_idle_limit(struct script *script)
{
    uint64_t left_ns = script_stream(script)->wire.until_ns - lb_clock_ns();

    if (left_ns > 7 * LB_NS_PER_S || left_ns < 5 * LB_NS_PER_S)
        script_violate(script, "patience ends in %lld ns", (long long)left_ns);
}

static void patience_ends(struct script *script)
{
    script_stream(script)->wire.until_ns = 1;
    lb_stream_arm(script_stream(script));
}

static void stop_by_limit(struct script *script)
{
    lb_life_stop(script_stream(script), &lb_limits_max_bytes);
}

/* On the committer, of which nobody has heard yet. */
static void end_has_run(struct script *script)
{
    uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    bool has_run = false;

    while (!has_run && time_now_ns() < deadline) {
        time_nap();
        pthread_mutex_lock(&script->lock);
        has_run = strstr(script->log, "end1");
        pthread_mutex_unlock(&script->lock);
    }
}

static void alarm_now(struct script *script)
{
    expect(script, lb_stream_alarm(script_stream(script), 0), 0, "an alarm");
}

static void alarm_late(struct script *script)
{
    expect(script, lb_stream_alarm(script_stream(script), 1000000), 0, "an alarm");
}

static void alarm_withdrawn(struct script *script)
{
    expect(script, lb_stream_alarm(script_stream(script), LB_NO_ALARM), 0, "no alarm");
    if (script->worker.lane.alarms.root)
        script_violate(script, "an alarm is set still");
}

/* ---- rigs ------------------------------------------------------------------------------------ */

struct counted {
    struct rig rig; /* first */
    unsigned fds;
};

static int setup(void **state)
{
    struct counted *counted = calloc(1, sizeof(*counted));

    heard_size = 0;
    *state = counted;
    if (counted)
        counted->fds = process_count_fds();
    return counted ? 0 : -1;
}

/* Nothing leaks, whatever happened. */
static int teardown(void **state)
{
    const struct counted *counted = *state;
    unsigned fds = counted->fds;

    rig_teardown(state);
    return process_count_fds() == fds ? 0 : -1;
}

static void begin(struct rig *rig, const struct lb_sink *sink)
{
    const struct script_options options = {.sink = sink,
                                           .count = 1,
                                           .committer = sink == &plan_slow_sink,
                                           .limits = {.idle_ns = 7 * LB_NS_PER_S}};

    assert_int_equal(rig_init(rig, options), 0);
}

static void assert_run(struct rig *rig, const struct step *steps, size_t count, const char *log,
                       enum lb_end end)
{
    rig_assert_log(rig, steps, count, log);
    assert_int_equal(rig->script.stats.ends[end], 1);
    peer_reads_all(&rig->script);
}

#define ASSERT_RUN(rig, log, end, ...)                                                             \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        assert_run(rig, steps_, sizeof(steps_) / sizeof(steps_[0]), log, end);                     \
    } while (0)

/* How many bytes that were said the peer has heard. */
static size_t count_heard(void)
{
    size_t count = 0;

    for (size_t i = 0; i < heard_size; i++)
        count += heard[i] == 'x';
    return count;
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void what_a_socket_takes_is_not_queued(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(says_a_bit), EOF_OF(1));
    assert_int_equal(count_heard(), 100);
}

static void the_queue_has_a_bound(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 watch1 watch1 ready1 unwatch1 ready1 end1:eof forget1 ",
               LB_END_EOF, ACCEPT, TURN, CALL(socket_fills), CALL(says_more_than_the_queue_takes),
               TURN, READY(1), TURN, CALL(peer_reads_all), READY(1), TURN, EOF_OF(1));
    assert_int_equal(count_heard(), LB_WIRE_QUEUE_MAX);
}

/* Room again calls the sink; what it says then goes behind what is queued. */
static void room_again_calls_the_sink(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 watch1 unwatch1 ready1 end1:eof forget1 ", LB_END_EOF,
               ACCEPT, TURN, CALL(socket_fills), CALL(says_a_bit), CALL(says_a_bit_more), TURN,
               CALL(peer_reads_all), READY(1), TURN, CALL(says_a_bit_more), EOF_OF(1));
    assert_int_equal(count_heard(), 120);
}

static void a_duplicate_is_watched_before_the_eof(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 watch1 end1:eof unwatch1 forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(socket_fills), CALL(says_a_bit), CALL(a_duplicate_is_watched),
               CALL(peer_reads_all), TURN, EOF_OF(1), TURN, READY(1));
    assert_int_equal(count_heard(), 100);
}

static void the_connection_is_watched_behind_it(void **state)
{
    struct rig *rig = *state;

    begin(rig, NULL);
    rig->plan.streams[0].ends[0] = -EINPROGRESS;
    ASSERT_RUN(rig, "open1 receive1 end1:eof watch1 watch1 unwatch1 ready1 end1:eof forget1 ",
               LB_END_EOF, ACCEPT, TURN, EOF_OF(1), TURN, CALL(socket_fills), CALL(says_a_bit),
               CALL(the_connection_is_watched), CALL(peer_reads_all), READY(1));
    assert_int_equal(count_heard(), 100);
}

/* ---- a peer that reads nothing --------------------------------------------------------------- */

static void a_peer_that_reads_nothing_is_given_up(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 watch1 unwatch1 ready1 end1:eof forget1 ", LB_END_EOF,
               ACCEPT, TURN, CALL(socket_fills), CALL(says_a_bit), CALL(patience_is_the_idle_limit),
               CALL(patience_ends), TURN, CALL(peer_has_gone), EOF_OF(1));
    assert_int_equal(count_heard(), 0);
}

static void a_peer_that_has_gone(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 watch1 unwatch1 ready1 end1:reset forget1 ", LB_END_RESET,
               ACCEPT, TURN, CALL(socket_fills), CALL(says_a_bit), CALL(peer_leaves), READY(1),
               TURN, CALL(peer_has_gone), ERROR_OF(1, -ECONNRESET));
}

/* ---- not now --------------------------------------------------------------------------------- */

static void nothing_is_said_once_cancelled(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 cancel1 end1:limit forget1 ", LB_END_LIMIT, ACCEPT, TURN,
               CALL(stop_by_limit), CALL(is_busy), ERROR_OF(1, -ECANCELED));
}

static void nothing_is_said_while_committing(void **state)
{
    begin(*state, &plan_slow_sink);
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN, EOF_OF(1),
               TURN, CALL(is_busy_for_watches), COMMITTED);
}

static void nothing_is_said_while_answering(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 watch1 end1:eof unwatch1 forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(socket_fills), CALL(says_a_bit), EOF_OF(1), TURN, CALL(is_busy),
               CALL(peer_reads_all), READY(1));
    assert_int_equal(count_heard(), 100);
}

/* Room that comes while the sink's end is with the committer is used. */
static void room_while_committing(void **state)
{
    begin(*state, &plan_slow_sink);
    ASSERT_RUN(*state, "open1 receive1 watch1 end1:eof unwatch1 forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(socket_fills), CALL(says_a_bit), EOF_OF(1), TURN, CALL(end_has_run),
               CALL(peer_reads_all), READY(1), TURN, COMMITTED);
    assert_int_equal(count_heard(), 100);
}

/* ---- alarms ---------------------------------------------------------------------------------- */

static void an_alarm_calls_the_sink_once(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 ready1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(alarm_now), TURN, TURN, EOF_OF(1));
}

static void a_new_alarm_replaces_the_last(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 ready1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(alarm_late), CALL(alarm_now), TURN, TURN, EOF_OF(1));
}

static void an_alarm_is_withdrawn(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(alarm_now), CALL(alarm_withdrawn), TURN, TURN, EOF_OF(1));
}

static void an_alarm_rings_while_ending(void **state)
{
    struct rig *rig = *state;

    begin(rig, NULL);
    rig->plan.streams[0].ends[0] = -EINPROGRESS;
    ASSERT_RUN(rig, "open1 receive1 end1:eof watch1 ready1 end1:eof forget1 ", LB_END_EOF, ACCEPT,
               TURN, EOF_OF(1), TURN, CALL(alarm_now));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_socket_takes_is_not_queued),
        TEST(the_queue_has_a_bound),
        TEST(room_again_calls_the_sink),
        TEST(a_duplicate_is_watched_before_the_eof),
        TEST(the_connection_is_watched_behind_it),
        TEST(a_peer_that_reads_nothing_is_given_up),
        TEST(a_peer_that_has_gone),
        TEST(nothing_is_said_once_cancelled),
        TEST(nothing_is_said_while_committing),
        TEST(nothing_is_said_while_answering),
        TEST(room_while_committing),
        TEST(an_alarm_calls_the_sink_once),
        TEST(a_new_alarm_replaces_the_last),
        TEST(an_alarm_is_withdrawn),
        TEST(an_alarm_rings_while_ending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
