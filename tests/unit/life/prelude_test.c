/* SPDX-License-Identifier: MIT */
/* Preludes, by scripts: who waits for what, and what the backend is asked. */
#include "unit.h"

#include "test_filters.h"

#include "filter.h"
#include "script_asserts.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* ---- what happens meanwhile ------------------------------------------------------------------ */

static void send_to(struct script *script, unsigned number, const void *data, size_t size)
{
    if (send(script->streams[number - 1].peer, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        script_violate(script, "stream %u: its peer can't send", number);
}

static void first_sends_a_header(struct script *script)
{
    send_to(script, 1, "HEADP", 5);
}

static void second_sends_a_header(struct script *script)
{
    send_to(script, 2, "HEADP", 5);
}

static void first_sends_a_part(struct script *script)
{
    send_to(script, 1, "HEA", 3);
}

static void first_sends_the_rest(struct script *script)
{
    send_to(script, 1, "DP", 2);
}

static void first_sends_nonsense(struct script *script)
{
    send_to(script, 1, "nonsense", 8);
}

/* ---- rigs ------------------------------------------------------------------------------------ */

static void begin(struct rig *rig, struct script_options options)
{
    options.filters[0] = lb_filters[0];
    if (!options.handshake_ms)
        options.handshake_ms = 1000000;
    if (!options.max_handshakes)
        options.max_handshakes = 10;
    assert_int_equal(rig_init(rig, options), 0);
}

static void assert_stats(const struct rig *rig, uint64_t streams, uint64_t failed)
{
    assert_int_equal(rig->script.stats.streams, streams);
    assert_int_equal(rig->script.stats.failed_preludes, failed);
    assert_int_equal(rig->script.stats.refused, failed);
}

/* ---- a prelude ------------------------------------------------------------------------------- */

/* What is there at once is no reason to wait for an event. */
static void one_that_is_over_at_once(void **state)
{
    begin(*state, (struct script_options){.count = 1});
    ASSERT_LOG(*state, "open1 receive1 end1:eof forget1 ", ACCEPT, CALL(first_sends_a_header), TURN,
               EOF_OF(1));
    assert_stats(*state, 1, 0);
}

static void one_in_two_parts(void **state)
{
    begin(*state, (struct script_options){.count = 1});
    ASSERT_LOG(*state, "await1 await1 open1 receive1 end1:eof forget1 ", ACCEPT, TURN,
               CALL(first_sends_a_part), READABLE(1, 0), TURN, CALL(first_sends_the_rest),
               READABLE(1, 0), TURN, EOF_OF(1));
    assert_stats(*state, 1, 0);
}

static void a_readable_without_cause(void **state)
{
    begin(*state, (struct script_options){.count = 1});
    ASSERT_LOG(*state, "await1 await1 open1 receive1 end1:eof forget1 ", ACCEPT, TURN,
               READABLE(1, 0), TURN, CALL(first_sends_a_header), READABLE(1, 0), TURN, EOF_OF(1));
}

static void one_that_fails(void **state)
{
    begin(*state, (struct script_options){.count = 1});
    ASSERT_LOG(*state, "await1 forget1 await2 open2 receive2 end2:eof forget2 ", ACCEPT, TURN,
               CALL(first_sends_nonsense), READABLE(1, 0), TURN, ACCEPT, TURN,
               CALL(second_sends_a_header), READABLE(2, 0), TURN, EOF_OF(2));
    assert_stats(*state, 1, 1);
}

static void a_connection_that_fails(void **state)
{
    begin(*state, (struct script_options){0});
    ASSERT_LOG(*state, "await1 forget1 ", ACCEPT, TURN, ERROR_OF(1, -ECONNRESET), TURN, STOP);
    assert_stats(*state, 0, 1);
}

static int no_memory(struct lb_stage *stage, const void *settings)
{
    (void)stage;
    (void)settings;
    return -ENOMEM;
}

/* The first is closed, the second, which was never open, is not. */
static void a_filter_that_does_not_open(void **state)
{
    static const struct lb_filter full = {.name = "full", .open = no_memory};
    struct rig *rig = *state;

    begin(rig, (struct script_options){.filters = {NULL, &full}});
    ASSERT_LOG(rig, "forget1 ", ACCEPT, TURN, STOP);
    assert_stats(rig, 0, 1);
    assert_non_null(strstr(rig->script.notes, "(full: Cannot allocate memory)"));
}

/* ---- none ------------------------------------------------------------------------------------ */

static unsigned opens, closes;

static int count_open(struct lb_stage *stage, const void *settings)
{
    (void)stage;
    (void)settings;
    opens++;
    return 0;
}

static void count_close(struct lb_stage *stage)
{
    (void)stage;
    closes++;
}

/* It needs nobody's turn, and its filters are open from its begin on. */
static void a_filter_without_a_prelude(void **state)
{
    static const struct lb_filter counts = {
        .name = "counts", .open = count_open, .close = count_close};
    struct rig *rig = *state;

    opens = closes = 0;
    assert_int_equal(rig_init(rig, (struct script_options){.filters = {&counts}, .count = 1}), 0);
    ASSERT_LOG(rig, "open1 receive1 end1:eof forget1 ", ACCEPT, TURN, EOF_OF(1));
    assert_stats(rig, 1, 0);
    assert_int_equal(opens, 1);
    assert_int_equal(closes, 1);
}

/* That is its stream's end, of which no sink hears. */
static void one_that_does_not_open(void **state)
{
    static const struct lb_filter full = {.name = "full", .open = no_memory};
    struct rig *rig = *state;

    assert_int_equal(rig_init(rig, (struct script_options){.filters = {&full}, .count = 1}), 0);
    ASSERT_LOG(rig, "forget1 ", ACCEPT, TURN);
    assert_stats(rig, 1, 0);
    assert_int_equal(rig->script.stats.ends[LB_END_ERROR], 1);
    assert_non_null(strstr(rig->script.notes, "error after 0 bytes (Cannot allocate memory)"));
}

/* ---- deadlines and turns --------------------------------------------------------------------- */

static void a_deadline(void **state)
{
    begin(*state, (struct script_options){.handshake_ms = 5});
    ASSERT_LOG(*state, "await1 cancel1 forget1 ", ACCEPT, TURN, TIMEOUT, TURN,
               ERROR_OF(1, -ECANCELED), TURN, STOP);
    assert_stats(*state, 0, 1);
}

/* What is said to be readable then comes too late. */
static void a_deadline_and_bytes(void **state)
{
    begin(*state, (struct script_options){.handshake_ms = 5});
    ASSERT_LOG(*state, "await1 cancel1 forget1 ", ACCEPT, TURN, TIMEOUT, TURN,
               CALL(first_sends_a_header), READABLE(1, 0), TURN, STOP);
    assert_stats(*state, 0, 1);
}

static void one_at_a_time(void **state)
{
    begin(*state, (struct script_options){.max_handshakes = 1, .count = 2});
    ASSERT_LOG(*state, "await1 open1 receive1 open2 receive2 end1:eof forget1 end2:eof forget2 ",
               ACCEPT, ACCEPT, CALL(second_sends_a_header), TURN, CALL(first_sends_a_header),
               READABLE(1, 0), TURN, EOF_OF(1), TURN, EOF_OF(2));
    assert_stats(*state, 2, 0);
}

/* A worker with one stream at a time has no other prelude meanwhile, and no place for a third. */
static void a_full_table(void **state)
{
    struct rig *rig = *state;

    begin(rig, (struct script_options){.one_stream_per_worker = true, .count = 2});
    rig_leave_places(rig, 2);
    ASSERT_LOG(rig, "await1 open1 receive1 end1:eof forget1 open2 receive2 end2:eof forget2 ",
               ACCEPT, ACCEPT, CALL(second_sends_a_header), ACCEPT, TURN,
               CALL(first_sends_a_header), READABLE(1, 0), TURN, EOF_OF(1), TURN, EOF_OF(2));
    assert_stats(rig, 2, 1); /* one more found no place to wait */
    assert_non_null(strstr(rig->script.notes, "a peer was turned away (max-streams)"));
}

static void the_count_is_reached(void **state)
{
    begin(*state, (struct script_options){.count = 1});
    ASSERT_LOG(*state, "await1 open2 receive2 end2:eof forget2 cancel1 forget1 ", ACCEPT, ACCEPT,
               CALL(second_sends_a_header), TURN, EOF_OF(2), TURN, ERROR_OF(1, -ECANCELED));
    assert_stats(*state, 1, 0);
}

/* ---- stops ----------------------------------------------------------------------------------- */

static void a_stop_lets_it_go_on(void **state)
{
    begin(*state, (struct script_options){.drain_ms = 1000000});
    ASSERT_LOG(*state, "await1 open1 receive1 end1:eof forget1 ", ACCEPT, TURN, STOP, TURN,
               CALL(first_sends_a_header), READABLE(1, 0), TURN, EOF_OF(1));
    assert_stats(*state, 1, 0);
}

static void a_second_stop_ends_it(void **state)
{
    begin(*state, (struct script_options){.drain_ms = 1000000});
    ASSERT_LOG(*state, "await1 cancel1 forget1 ", ACCEPT, TURN, STOP, TURN, STOP, TURN,
               ERROR_OF(1, -ECANCELED));
    assert_stats(*state, 0, 0);
}

/* Those in the lobby have never met the backend. */
static void a_second_stop_empties_the_lobby(void **state)
{
    begin(*state, (struct script_options){.max_handshakes = 1, .drain_ms = 1000000});
    ASSERT_LOG(*state, "await1 cancel1 forget1 forget2 ", ACCEPT, ACCEPT, TURN, STOP, TURN, STOP,
               TURN, ERROR_OF(1, -ECANCELED));
    assert_stats(*state, 0, 0);
}

static void a_broken_backend(void **state)
{
    begin(*state, (struct script_options){.max_handshakes = 1});
    ASSERT_LOG(*state, "await1 forget1 forget2 ", ACCEPT, ACCEPT, TURN, BROKEN(-EIO));
    assert_stats(*state, 0, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_over_at_once),
        TEST(one_in_two_parts),
        TEST(a_readable_without_cause),
        TEST(one_that_fails),
        TEST(a_connection_that_fails),
        TEST(a_filter_that_does_not_open),
        TEST(a_filter_without_a_prelude),
        TEST(one_that_does_not_open),
        TEST(a_deadline),
        TEST(a_deadline_and_bytes),
        TEST(one_at_a_time),
        TEST(a_full_table),
        TEST(the_count_is_reached),
        TEST(a_stop_lets_it_go_on),
        TEST(a_second_stop_ends_it),
        TEST(a_second_stop_empties_the_lobby),
        TEST(a_broken_backend),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
