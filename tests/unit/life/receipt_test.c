/* SPDX-License-Identifier: MIT */
/* Receipts, by scripts: what the sender of a stream is told, when, and what happens until then. */
#include "unit.h"

#include "life.h"
#include "script_asserts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEARD_SIZE = 2000 };

static struct stream_plan *begin(struct rig *rig, const struct lb_sink *sink)
{
    const struct script_options options = {
        .sink = sink, .count = 1, .committer = sink == &plan_slow_sink, .receipts = true};

    assert_int_equal(rig_init(rig, options), 0);
    return rig->plan.streams;
}

/* What the first stream's peer was told, once the worker has ended. */
static char *hear(struct rig *rig, char heard[HEARD_SIZE])
{
    size_t size = 0;
    ssize_t got;

    while ((got = recv(rig->script.streams[0].peer, heard + size, HEARD_SIZE - 1 - size,
                       MSG_DONTWAIT)) > 0)
        size += (size_t)got;
    heard[size] = '\0';
    return heard;
}

static void assert_run(struct rig *rig, const struct step *steps, size_t count, const char *log,
                       enum lb_end end)
{
    rig_assert_log(rig, steps, count, log);
    assert_int_equal(rig->script.stats.ends[end], 1);
    assert_int_equal(rig->script.stats.streams, 1);
}

#define ASSERT_RUN(rig, log, end, ...)                                                             \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        assert_run(rig, steps_, sizeof(steps_) / sizeof(steps_[0]), log, end);                     \
    } while (0)

static void assert_heard(struct rig *rig, const char *expected)
{
    char heard[HEARD_SIZE];

    assert_string_equal(hear(rig, heard), expected);
}

/* "ok SIZE xxh3:DIGEST ID\n", with the digest of the first stream's first size bytes. */
static void assert_ok(struct rig *rig, size_t size)
{
    struct lb_digest_method method;
    struct lb_digest digest;
    char text[LB_DIGEST_TEXT_SIZE], heard[HEARD_SIZE], expected[200];

    assert_int_equal(lb_digest_choose(&method, "xxh3"), 0);
    assert_int_equal(lb_digest_open(&digest, &method), 0);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = script_byte(1, i);

        lb_digest_update(&digest, &byte, 1);
    }
    lb_digest_finish(&digest, text);
    lb_digest_close(&digest);
    lb_digest_release(&method);
    snprintf(expected, sizeof(expected), "ok %zu xxh3:%s ", size, text);
    hear(rig, heard);
    assert_int_equal(strncmp(heard, expected, strlen(expected)), 0);
    /* One word, one line. */
    assert_int_equal(strcspn(heard + strlen(expected), " \n"),
                     strlen(heard + strlen(expected)) - 1);
    assert_int_equal(heard[strlen(heard) - 1], '\n');
}

/* As an answer does that the peer doesn't read. */
static void socket_fills(struct script *script)
{
    char bytes[1000] = "";

    while (send(script->streams[0].fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void peer_reads_all(struct script *script)
{
    char bytes[1000];

    while (recv(script_peer(script), bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void peer_heard_nothing(struct script *script)
{
    struct pollfd poller = {.fd = script_peer(script), .events = POLLIN};

    if (poll(&poller, 1, 0) != 0)
        script_violate(script, "the peer was told too early");
}

static void patience_ends(struct script *script)
{
    script_stream(script)->wire.until_ns = 1;
    lb_stream_arm(script_stream(script));
}

/* ---- ok -------------------------------------------------------------------------------------- */

static void an_empty_stream_is_safe(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN, EOF_OF(1));
    assert_ok(*state, 0);
}

static void a_stream_is_safe_after_its_end(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 write1:4096 back1 end1:eof forget1 ",
               LB_END_EOF, ACCEPT, TURN, DATA(1, 10), TURN, DATA(1, 4096), CALL(peer_heard_nothing),
               TURN, CALL(peer_heard_nothing), EOF_OF(1));
    assert_ok(*state, 4106);
}

static void pauses_change_no_digest(void **state)
{
    struct stream_plan *plan = begin(*state, &plan_pausing_sink);

    plan->writes[0] = 4;
    plan->writes[1] = TAKE_NONE;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 watch1 ready1 write1:6 watch1 ready1 write1:6 back1 "
               "receive1 end1:eof forget1 ",
               LB_END_EOF, ACCEPT, TURN, DATA(1, 10), TURN, READY(1), TURN, READY(1), TURN,
               EOF_OF(1));
    assert_ok(*state, 10);
}

static void nobody_is_told_before_an_end_in_progress(void **state)
{
    begin(*state, NULL)->ends[0] = -EINPROGRESS;
    ASSERT_RUN(*state, "open1 receive1 end1:eof watch1 ready1 end1:eof forget1 ", LB_END_EOF,
               ACCEPT, TURN, EOF_OF(1), TURN, CALL(peer_heard_nothing), READY(1));
    assert_ok(*state, 0);
}

static void a_slow_end_is_told(void **state)
{
    begin(*state, &plan_slow_sink);
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN,
               DATA(1, 10), EOF_OF(1), TURN, CALL(peer_heard_nothing), COMMITTED);
    assert_ok(*state, 10);
}

static const char *name_it(struct lb_stream *stream, void *context)
{
    (void)stream;
    (void)context;
    return "by-the-sink";
}

static void the_sink_may_name_it(void **state)
{
    struct lb_sink sink = plan_sink;
    char heard[HEARD_SIZE];

    sink.receipt_id = name_it;
    begin(*state, &sink);
    ASSERT_RUN(*state, "open1 receive1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN, EOF_OF(1));
    assert_non_null(strstr(hear(*state, heard), " by-the-sink\n"));
}

static void without_receipts_nothing_is_said(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_init(rig, (struct script_options){.count = 1}), 0);
    ASSERT_RUN(rig, "open1 receive1 write1:10 back1 end1:eof forget1 ", LB_END_EOF, ACCEPT, TURN,
               DATA(1, 10), EOF_OF(1));
    assert_heard(rig, "");
}

/* ---- error ----------------------------------------------------------------------------------- */

static void a_refused_stream_is_told(void **state)
{
    begin(*state, NULL)->open = -EMFILE;
    ASSERT_RUN(*state, "open1 watch1 unwatch1 forget1 ", LB_END_SINK, ACCEPT, TURN,
               CALL(peer_shuts), READY(1));
    assert_heard(*state, "error sink:EMFILE 0\n");
}

static void a_failed_end_is_told(void **state)
{
    begin(*state, NULL)->ends[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 end1:eof forget1 ", LB_END_SINK, ACCEPT,
               TURN, CALL(peer_shuts), DATA(1, 10), EOF_OF(1));
    assert_heard(*state, "error sink:EIO 10\n");
}

/* The peer goes on: what it sends is dropped until its EOF. */
static void an_error_is_told_while_bytes_come(void **state)
{
    begin(*state, NULL)->writes[1] = -ENOSPC;
    ASSERT_RUN(*state,
               "open1 receive1 write1:10 back1 write1:20 back1 cancel1 end1:sink watch1 watch1 "
               "unwatch1 forget1 ",
               LB_END_SINK, ACCEPT, TURN, DATA(1, 10), DATA(1, 20), TURN, CALL(peer_sends),
               ERROR_OF(1, -ECANCELED), TURN, CALL(peer_sends), READY(1), TURN, CALL(peer_sends),
               CALL(peer_shuts), READY(1));
    assert_heard(*state, "error sink:ENOSPC 10\n");
}

static void a_flood_after_an_error_has_its_end(void **state)
{
    struct rig *rig = *state;

    begin(rig, NULL)->writes[0] = -EIO;
    ASSERT_RUN(rig,
               "open1 receive1 write1:10 back1 cancel1 end1:sink watch1 watch1 unwatch1 forget1 ",
               LB_END_SINK, ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECANCELED), TURN,
               CALL(peer_sends), READY(1), TURN, CALL(patience_ends));
    assert_heard(rig, "error sink:EIO 0\n");
}

static void drop_almost_enough(struct script *script)
{
    script_stream(script)->wire.dropped = UINT64_C(64) << 20;
}

static void a_big_flood_after_an_error_has_its_end(void **state)
{
    begin(*state, NULL)->writes[0] = -EIO;
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 cancel1 end1:sink watch1 unwatch1 forget1 ",
               LB_END_SINK, ACCEPT, TURN, DATA(1, 10), TURN, ERROR_OF(1, -ECANCELED), TURN,
               CALL(drop_almost_enough), CALL(peer_sends), READY(1));
}

static void stop_by_limit(struct script *script)
{
    lb_life_stop(script_stream(script), &lb_limits_max_bytes);
}

static void the_reason_has_its_detail(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 cancel1 end1:limit watch1 unwatch1 forget1 ",
               LB_END_LIMIT, ACCEPT, TURN, DATA(1, 10), TURN, CALL(stop_by_limit),
               ERROR_OF(1, -ECANCELED), TURN, CALL(peer_shuts), READY(1));
    assert_heard(*state, "error limit:max-bytes 10\n");
}

static void a_peer_that_has_gone_hears_nothing(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 end1:reset forget1 ", LB_END_RESET, ACCEPT,
               TURN, DATA(1, 10), CALL(peer_leaves), ERROR_OF(1, -ECONNRESET));
}

/* ---- a peer that doesn't read ---------------------------------------------------------------- */

static void a_full_socket_is_waited_for(void **state)
{
    struct rig *rig = *state;

    begin(rig, NULL);
    ASSERT_RUN(rig, "open1 receive1 write1:10 back1 end1:eof watch1 watch1 unwatch1 forget1 ",
               LB_END_EOF, ACCEPT, TURN, DATA(1, 10), CALL(socket_fills), EOF_OF(1), TURN, READY(1),
               TURN, CALL(peer_reads_all), READY(1));
    assert_ok(rig, 10);
}

static void a_full_socket_is_not_waited_for_for_ever(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 end1:eof watch1 unwatch1 forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(socket_fills), EOF_OF(1), TURN, CALL(patience_ends));
}

static void a_full_socket_keeps_nobody_at_a_stop(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 end1:eof watch1 unwatch1 forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(socket_fills), EOF_OF(1), TURN, STOP, STOP);
}

/* Told, but not waited for. */
static void a_stopped_stream_is_told(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 write1:10 back1 cancel1 end1:stopped forget1 ",
               LB_END_STOPPED, ACCEPT, TURN, DATA(1, 10), TURN, STOP, STOP, TURN,
               ERROR_OF(1, -ECANCELED));
    assert_heard(*state, "error stopped 10\n");
}

static void a_broken_backend_keeps_nobody(void **state)
{
    begin(*state, NULL);
    ASSERT_RUN(*state, "open1 receive1 end1:eof watch1 unwatch1 forget1 ", LB_END_EOF, ACCEPT, TURN,
               CALL(socket_fills), EOF_OF(1), TURN, BROKEN(-EIO));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_stream_is_safe),
        TEST(a_stream_is_safe_after_its_end),
        TEST(pauses_change_no_digest),
        TEST(nobody_is_told_before_an_end_in_progress),
        TEST(a_slow_end_is_told),
        TEST(the_sink_may_name_it),
        TEST(without_receipts_nothing_is_said),
        TEST(a_refused_stream_is_told),
        TEST(a_failed_end_is_told),
        TEST(an_error_is_told_while_bytes_come),
        TEST(a_flood_after_an_error_has_its_end),
        TEST(a_big_flood_after_an_error_has_its_end),
        TEST(the_reason_has_its_detail),
        TEST(a_peer_that_has_gone_hears_nothing),
        TEST(a_full_socket_is_waited_for),
        TEST(a_full_socket_is_not_waited_for_for_ever),
        TEST(a_full_socket_keeps_nobody_at_a_stop),
        TEST(a_stopped_stream_is_told),
        TEST(a_broken_backend_keeps_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
