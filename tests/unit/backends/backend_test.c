/* SPDX-License-Identifier: MIT */
/*
 * The contract of backend.h, call by call, for the backend named on the command line: what the
 * engine relies on, and what is hard to reach through it.
 */
#include "unit.h"

#include "backend_rig.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- one conn -------------------------------------------------------------------------------- */

static void data_then_eof(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    rig_open(rig, 4, false);
    peer = rig_add_peer(rig);
    rig_receive(rig, peer, false);
    peer_send_text(peer, "hello");
    rig_assert_data(rig, peer, "hello");
    assert_true(peer->conn.receiving);
    peer_send_text(peer, "world");
    rig_assert_data(rig, peer, "world");
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    rig_assert_terminal(rig, peer, 0);
    rig_assert_silence(rig);
    rig_forget(rig, peer);
    rig_assert_silence(rig);
}

static void data_then_reset(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    rig_open(rig, 4, false);
    peer = rig_add_peer(rig);
    peer_send_text(peer, "last words");
    assert_int_equal(peer_reset(peer->fd), 0);
    peer->fd = -1;
    rig_receive(rig, peer, false);
    rig_assert_data(rig, peer, "last words");
    rig_assert_terminal(rig, peer, -ECONNRESET);
    rig_forget(rig, peer);
}

static void once_means_one_chunk(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    rig_open(rig, 4, true);
    peer = rig_add_peer(rig);
    rig_receive(rig, peer, true);
    peer_send_text(peer, "one");
    rig_assert_data(rig, peer, "one");
    assert_false(peer->conn.receiving);
    peer_send_text(peer, "two");
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    rig_assert_silence(rig);
    rig_receive(rig, peer, true);
    rig_assert_data(rig, peer, "two");
    rig_assert_silence(rig);
    rig_receive(rig, peer, true);
    rig_assert_terminal(rig, peer, 0);
    rig_forget(rig, peer);
}

static void assert_readable(struct rig *rig, const struct peer *peer)
{
    const struct lb_event *event = rig_next_event(rig);

    assert_int_equal(event->type, LB_EVENT_READABLE);
    assert_ptr_equal(event->conn, &peer->conn);
    assert_false(peer->conn.receiving);
}

/* Told once each time it is asked for, and no byte is taken. */
static void an_awaited_conn_is_told_to_be_readable(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    rig_open(rig, 4, false);
    peer = rig_add_peer(rig);
    backend->await(rig->state, &peer->conn);
    rig_assert_silence(rig);
    peer_send_text(peer, "all");
    assert_readable(rig, peer);
    rig_assert_silence(rig);
    backend->await(rig->state, &peer->conn);
    assert_readable(rig, peer);
    rig_receive(rig, peer, true);
    rig_assert_data(rig, peer, "all");
    backend->await(rig->state, &peer->conn);
    rig_assert_silence(rig);
    backend->cancel(rig->state, &peer->conn);
    rig_assert_terminal(rig, peer, -ECANCELED);
    /* Its EOF is as good as a byte. */
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    backend->await(rig->state, &peer->conn);
    assert_readable(rig, peer);
    rig_receive(rig, peer, true);
    rig_assert_terminal(rig, peer, 0);
    rig_forget(rig, peer);
}

static void a_cancel_is_answered(void **state)
{
    static const bool onces[] = {false, true};
    struct rig *rig = *state;

    rig_open(rig, 4, true);
    for (int i = 0; i < 2; i++) {
        struct peer *peer = rig_add_peer(rig);

        rig_receive(rig, peer, onces[i]);
        rig_assert_silence(rig);
        backend->cancel(rig->state, &peer->conn);
        backend->cancel(rig->state, &peer->conn);
        rig_assert_terminal(rig, peer, -ECANCELED);
        rig_assert_silence(rig);
        /* It may be received from again. */
        peer_send_text(peer, "again");
        rig_receive(rig, peer, true);
        rig_assert_data(rig, peer, "again");
        rig_forget(rig, peer);
    }
}

static void an_idle_conn_can_not_be_cancelled(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    rig_open(rig, 4, true);
    peer = rig_add_peer(rig);
    backend->cancel(rig->state, &peer->conn);
    rig_assert_silence(rig);
    rig_receive(rig, peer, true);
    peer_send_text(peer, "x");
    rig_assert_data(rig, peer, "x");
    backend->cancel(rig->state, &peer->conn);
    rig_assert_silence(rig);
    rig_forget(rig, peer);
}

/* Data that is there already may come before the end, or not; but then the end comes. */
static void a_cancel_with_data_queued(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    rig_open(rig, 4, false);
    peer = rig_add_peer(rig);
    peer_send_text(peer, "queued");
    assert_int_equal(peer_await_acked(peer->fd), 0);
    rig_receive(rig, peer, false);
    backend->cancel(rig->state, &peer->conn);
    while (peer->conn.receiving) {
        rig_wait(rig, patience_ms(), 0);
        for (int i = 0; i < rig->count; i++) {
            assert_ptr_equal(rig->events[i].conn, &peer->conn);
            if (rig->events[i].type == LB_EVENT_DATA)
                backend->give_back(rig->state, &rig->events[i].chunk);
            else
                assert_int_equal(rig->events[i].error, -ECANCELED);
        }
        rig->next = rig->count;
    }
    rig_assert_silence(rig);
    rig_forget(rig, peer);
}

/* A child process, say, holds the descriptor too: closing it does not end the connection. It must
 * not be heard of any more, nor disturb the next one with the same number. */
static void a_descriptor_is_held_elsewhere(void **state)
{
    struct rig *rig = *state;
    struct peer *old, *new;
    int held, number;

    rig_open(rig, 4, false);
    old = rig_add_peer(rig);
    number = old->conn.fd;
    held = fcntl(number, F_DUPFD_CLOEXEC, 100);
    assert_true(held >= 0);
    rig_receive(rig, old, false);
    peer_send_text(old, "x");
    rig_assert_data(rig, old, "x");
    assert_int_equal(shutdown(old->fd, SHUT_WR), 0);
    rig_assert_terminal(rig, old, 0);
    rig_forget(rig, old);
    new = rig_add_peer(rig);
    /* add_peer's own end was made first; so that the number is the conn's, change places. */
    if (new->fd == number) {
        new->fd = fcntl(number, F_DUPFD_CLOEXEC, 100);
        assert_int_equal(dup3(new->conn.fd, number, O_CLOEXEC), number);
        close(new->conn.fd);
        new->conn.fd = number;
    }
    assert_int_equal(new->conn.fd, number);
    rig_receive(rig, new, false);
    rig_assert_silence(rig);
    peer_send_text(new, "y");
    rig_assert_data(rig, new, "y");
    backend->cancel(rig->state, &new->conn);
    rig_assert_terminal(rig, new, -ECANCELED);
    rig_forget(rig, new);
    close(held);
}

/* ---- accepting, waking, watching ------------------------------------------------------------- */

static void accepting_ends_at_once(void **state)
{
    struct rig *rig = *state;
    const struct lb_backend_status *status;
    uint64_t begin;

    rig_open(rig, 4, false);
    status = backend->status(rig->state);
    rig_wait(rig, 0, 10);
    begin = time_now_ns();
    while (status->accepting)
        assert_int_equal(rig_wait(rig, 2 * patience_ms(), 0), 0);
    assert_true(time_now_ns() - begin < (uint64_t)patience_ms() * 1000000);
    /* From now on peers stay in the backlog, until they are asked for. */
    rig->peers[0].fd = peer_connect(rig->listeners.items[0].name);
    rig->peer_count = 1;
    assert_true(rig->peers[0].fd >= 0);
    rig_assert_silence(rig);
    while (rig_wait(rig, patience_ms(), 10) == 0)
        continue;
    assert_int_equal(rig->events[0].type, LB_EVENT_ACCEPTED);
    rig->peers[0].conn.fd = rig->events[0].fd;
    rig->peers[0].open = true;
}

/* What the kernel accepted, and nobody was told of, is not left open in the process. */
static void closing_forgets_nobody(void **state)
{
    enum { PEERS = 100 };
    const struct lb_turn turn = {.accept_limit = 1000};
    unsigned fds = process_count_fds();
    struct rig *rig = *state;
    int peers[PEERS], count;

    rig_open(rig, 4, false);
    for (int i = 0; i < PEERS; i++) {
        peers[i] = peer_connect(rig->listeners.items[0].name);
        assert_true(peers[i] >= 0);
    }
    count = backend->wait(rig->state, rig->events, LB_EVENTS_MIN, &turn);
    assert_in_range(count, 1, LB_EVENTS_MIN);
    for (int i = 0; i < count; i++) {
        assert_int_equal(rig->events[i].type, LB_EVENT_ACCEPTED);
        close(rig->events[i].fd);
    }
    backend->close(rig->state);
    rig->state = NULL;
    for (int i = 0; i < PEERS; i++)
        close(peers[i]);
    /* The listener and the wake descriptor are ours. */
    assert_int_equal(process_count_fds(), fds + 2);
}

static void a_wait_takes_its_time(void **state)
{
    static const unsigned limits[] = {0, 10};
    struct rig *rig = *state;

    rig_open(rig, 4, false);
    rig_wait(rig, 0, 10);
    for (int i = 0; i < 2; i++) {
        uint64_t begin = time_now_ns(), end = begin + SHORT_MS * 1000000;
        unsigned waits = 0;

        for (; time_now_ns() < end; waits++)
            assert_int_equal(rig_wait(rig, SHORT_MS, limits[i]), 0);
        /* It may return without cause, but not all the time. */
        assert_in_range(waits, 1, 6);
        rig_wait(rig, 0, limits[i]);
    }
}

static void a_wake_is_heard(void **state)
{
    const uint64_t one = 1;
    struct rig *rig = *state;
    uint64_t count;

    rig_open(rig, 4, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(rig->wake_fd, &one, sizeof(one)), sizeof(one));
        assert_int_equal(rig_next_event(rig)->type, LB_EVENT_WAKE);
        assert_int_equal(read(rig->wake_fd, &count, sizeof(count)), sizeof(count));
        rig_assert_silence(rig);
    }
}

static void assert_ready(struct rig *rig, const void *cookie)
{
    const struct lb_event *event = rig_next_event(rig);

    assert_int_equal(event->type, LB_EVENT_READY);
    assert_ptr_equal(event->cookie, cookie);
}

static void a_watch_fires_once(void **state)
{
    struct rig *rig = *state;
    alignas(16) char cookies[32];
    int pipes[2];

    rig_open(rig, 4, false);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies), 0);
    rig_assert_silence(rig);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_ready(rig, cookies);
    rig_assert_silence(rig);
    /* Again, with another cookie: the descriptor is ready still. */
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies + 16), 0);
    assert_ready(rig, cookies + 16);
    /* A hang-up counts as ready. */
    assert_int_equal(backend->watch(rig->state, pipes[1], POLLOUT, cookies), 0);
    assert_ready(rig, cookies);
    close(pipes[1]);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies), 0);
    assert_ready(rig, cookies);
    assert_int_equal(backend->watch(rig->state, pipes[0], 0, cookies), 0);
    close(pipes[0]);
    rig_assert_silence(rig);
}

static void a_watch_is_replaced_or_withdrawn(void **state)
{
    struct rig *rig = *state;
    alignas(16) char cookies[32];
    int pipes[2];

    rig_open(rig, 4, false);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies + 16), 0);
    rig_assert_silence(rig);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_ready(rig, cookies + 16);
    rig_assert_silence(rig);
    assert_int_equal(read(pipes[0], cookies, 1), 1);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies), 0);
    rig_assert_silence(rig);
    assert_int_equal(backend->watch(rig->state, pipes[0], 0, NULL), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], 0, NULL), 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    rig_assert_silence(rig);
    close(pipes[0]);
    close(pipes[1]);
}

/* A peer that has sent its EOF and reads nothing: whoever waits for room wakes nobody until there
 * is some, and takes no processor time. */
static void a_half_closed_peer_without_room_costs_nothing(void **state)
{
    static char bytes[64 << 10];
    struct rig *rig = *state;
    struct peer *peer;
    int cookie[4] __attribute__((aligned(LB_COOKIE_ALIGN)));
    uint64_t before, until;

    rig_open(rig, 4, false);
    peer = rig_add_peer(rig);
    rig_receive(rig, peer, false);
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    rig_assert_terminal(rig, peer, 0);
    while (send(peer->conn.fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        ;
    assert_int_equal(backend->watch(rig->state, peer->conn.fd, POLLOUT, cookie), 0);
    before = time_thread_ns();
    until = time_now_ns() + 10 * (uint64_t)SHORT_MS * 1000000;
    while (time_now_ns() < until)
        assert_int_equal(rig_wait(rig, SHORT_MS, 0), 0);
    assert_true(time_thread_ns() - before < 3 * (uint64_t)SHORT_MS * 1000000);
    while (recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(rig_next_event(rig)->type, LB_EVENT_READY);
    backend->watch(rig->state, peer->conn.fd, 0, NULL);
    rig_forget(rig, peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

static int run(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_then_eof),
        TEST(data_then_reset),
        TEST(a_half_closed_peer_without_room_costs_nothing),
        TEST(once_means_one_chunk),
        TEST(an_awaited_conn_is_told_to_be_readable),
        TEST(a_cancel_is_answered),
        TEST(an_idle_conn_can_not_be_cancelled),
        TEST(a_cancel_with_data_queued),
        TEST(a_descriptor_is_held_elsewhere),
        TEST(accepting_ends_at_once),
        TEST(closing_forgets_nobody),
        TEST(a_wait_takes_its_time),
        TEST(a_wake_is_heard),
        TEST(a_watch_fires_once),
        TEST(a_watch_is_replaced_or_withdrawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return backend_main(argc, argv, run);
}
