/* SPDX-License-Identifier: MIT */
/* Many conns at once on one backend, and few slots: nobody is forgotten, nobody starves. */
#include "unit.h"

#include "backend_rig.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Some conns use up all slots while others that have no data are armed too. Those must be heard
 * when their data comes, though nothing else happens any more. */
static void assert_nobody_is_left_waiting(struct rig *rig, unsigned slots, bool whole_slots)
{
    char slot_full[SLOT_SIZE];
    unsigned got = 0;

    rig_open(rig, slots, whole_slots);
    memset(slot_full, 's', sizeof(slot_full));
    for (unsigned i = 0; i < CONNS; i++)
        rig_add_peer(rig);
    for (unsigned i = 0; i < slots; i++) {
        assert_int_equal(peer_send(rig->peers[i].fd, slot_full, sizeof(slot_full)), 0);
        assert_int_equal(peer_await_acked(rig->peers[i].fd), 0);
    }
    for (unsigned i = 0; i < CONNS; i++)
        rig_receive(rig, &rig->peers[i], whole_slots);
    while (got < slots * SLOT_SIZE) {
        assert_true(rig_wait(rig, patience_ms(), 0) >= 0);
        for (int i = 0; i < rig->count; i++) {
            assert_int_equal(rig->events[i].type, LB_EVENT_DATA);
            got += (unsigned)rig->events[i].chunk.size;
            backend->give_back(rig->state, &rig->events[i].chunk);
        }
        rig->next = rig->count;
    }
    rig_assert_silence(rig);
    for (unsigned i = CONNS - 1; i >= slots; i--) {
        peer_send_text(&rig->peers[i], "me too");
        rig_assert_data(rig, &rig->peers[i], "me too");
    }
    for (unsigned i = 0; i < CONNS; i++) {
        bool receiving = rig->peers[i].conn.receiving;

        backend->cancel(rig->state, &rig->peers[i].conn);
        if (receiving)
            rig_assert_terminal(rig, &rig->peers[i], -ECANCELED);
        rig_forget(rig, &rig->peers[i]);
    }
}

static void nobody_is_left_waiting_for_a_slot(void **state)
{
    SKIP_IF(backend->one_stream_per_worker, "it has one conn at a time");
    assert_nobody_is_left_waiting(*state, 2, true);
}

static void nobody_is_left_waiting_for_a_part_of_a_slot(void **state)
{
    SKIP_IF(backend->one_stream_per_worker, "it has one conn at a time");
    assert_nobody_is_left_waiting(*state, 2, false);
}

static void nobody_is_left_waiting_for_the_only_slot(void **state)
{
    SKIP_IF(backend->one_stream_per_worker, "it has one conn at a time");
    assert_nobody_is_left_waiting(*state, 1, true);
}

enum { FLOODS = 16, TRICKLES = 4, WAITS_MAX = 200 };

/* Keeps a conn's queue full. */
static void flood(const struct peer *peer)
{
    static const char data[64 << 10];

    while (send(peer->fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        continue;
}

/* Takes what came, and counts how often each was heard. */
static void take_batch(struct rig *rig, unsigned *heard, bool once)
{
    for (int i = 0; i < rig->count; i++) {
        struct lb_conn *conn = rig->events[i].conn;

        assert_int_equal(rig->events[i].type, LB_EVENT_DATA);
        heard[(struct peer *)(void *)conn - rig->peers]++;
        backend->give_back(rig->state, &rig->events[i].chunk);
        if (once)
            backend->receive(rig->state, conn, true);
    }
    rig->next = rig->count;
}

/* Begins to receive: the first trickles are known for long, the others come behind the floods. */
static void begin_crowd(struct rig *rig, bool once)
{
    for (unsigned i = 0; i < FLOODS + TRICKLES; i++)
        rig_add_peer(rig);
    for (unsigned i = 0; i < TRICKLES / 2; i++)
        rig_receive(rig, &rig->peers[i], once);
    rig_assert_silence(rig);
    for (unsigned i = TRICKLES; i < FLOODS + TRICKLES; i++)
        rig_receive(rig, &rig->peers[i], once);
    for (unsigned i = TRICKLES / 2; i < TRICKLES; i++)
        rig_receive(rig, &rig->peers[i], once);
}

/* More floods than slots: they may take most of each batch, but not all of every batch, and none of
 * them more than its share for ever. */
static void assert_nobody_starves(struct rig *rig, unsigned slots, bool once)
{
    unsigned heard[FLOODS + TRICKLES] = {0};

    SKIP_IF(backend->one_stream_per_worker, "it has one conn at a time");
    rig_open(rig, slots, once);
    begin_crowd(rig, once);
    for (unsigned waits = 0; waits < WAITS_MAX; waits++) {
        for (unsigned i = TRICKLES; i < FLOODS + TRICKLES; i++)
            flood(&rig->peers[i]);
        if (waits == WAITS_MAX / 4) /* by then all floods had their chance */
            for (unsigned i = 0; i < TRICKLES; i++)
                peer_send_text(&rig->peers[i], "trickle");
        rig_wait(rig, patience_ms(), 0);
        take_batch(rig, heard, once);
    }
    for (unsigned i = 0; i < FLOODS + TRICKLES; i++)
        if (heard[i] == 0)
            fail_msg("%s %u is never heard", i < TRICKLES ? "trickle" : "flood", i);
}

static void nobody_starves_with_small_slots(void **state)
{
    assert_nobody_starves(*state, 2, false);
}

static void nobody_starves_with_large_slots(void **state)
{
    struct rig *rig = *state;

    rig->slot_size = 128 << 10;
    assert_nobody_starves(rig, 4, false);
}

static void nobody_starves_chunk_by_chunk(void **state)
{
    assert_nobody_starves(*state, 2, true);
}

/* Counted instead of slept. */
static unsigned sleeps;

int nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    sleeps++;
    return 0;
}

/* What is ready at the end of a sleep has waited long enough, however much it is. */
static void gathers_once_for_all_that_is_ready(void **state)
{
    struct rig *rig = *state;
    unsigned heard[PEERS_MAX] = {0}, got = 0;

    SKIP_IF(backend->one_stream_per_worker, "it has one conn at a time");
    rig_open(rig, 4, false);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        rig_receive(rig, rig_add_peer(rig), false);
    rig_assert_silence(rig);
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        peer_send_text(&rig->peers[i], "x");
        assert_int_equal(peer_await_acked(rig->peers[i].fd), 0);
    }
    sleeps = 0;
    while (got < PEERS_MAX) {
        assert_true(rig_wait(rig, patience_ms(), 0) >= 0);
        got += (unsigned)rig->count;
        take_batch(rig, heard, false);
    }
    assert_in_range(sleeps, 0, 1);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        assert_int_equal(heard[i], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

static int run(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_left_waiting_for_a_slot),
        TEST(nobody_is_left_waiting_for_a_part_of_a_slot),
        TEST(nobody_is_left_waiting_for_the_only_slot),
        TEST(nobody_starves_with_small_slots),
        TEST(nobody_starves_with_large_slots),
        TEST(nobody_starves_chunk_by_chunk),
        TEST(gathers_once_for_all_that_is_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return backend_main(argc, argv, run);
}
