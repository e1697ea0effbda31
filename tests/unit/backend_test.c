/* SPDX-License-Identifier: MIT */
/*
 * The contract of backend.h, call by call, for the backend named on the command line: what the
 * engine relies on, and what is hard to reach through it.
 */
#include "unit.h"

#include "support.h"

#include "backend.h"
#include "listener.h"
#include "pool.h"

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

enum { CONNS = 24, EVENTS = 64, SLOT_SIZE = 4096, SHORT_MS = 30, SKIPPED = 77 };

#define NS_PER_MS INT64_C(1000000)

static const struct lb_backend *backend;

struct peer {
    alignas(16) struct lb_conn conn;
    bool open; /* conn's descriptor */
    int fd;    /* the other end */
};

struct rig {
    struct lb_pool pool;
    struct lb_listener_list listeners;
    void *state;
    int wake_fd;
    struct peer peers[CONNS];
    unsigned peer_count;
    struct lb_event events[EVENTS];
    int count, next;
};

static int open_rig(struct rig *rig, unsigned slots, bool whole_slots)
{
    const struct lb_listener_options options = {.sockets = 1};
    const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct lb_backend_config config = {
        .listener_count = 1,
        .max_streams = CONNS,
        .pool = &rig->pool,
        .whole_slots = whole_slots,
    };
    int rc = lb_listener_open(&rig->listeners, addresses, &options, NULL);

    if (rc < 0)
        return rc;
    config.listeners = rig->listeners.items[0].fds;
    config.wake_fd = rig->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = lb_pool_init(&rig->pool, SLOT_SIZE, slots, whole_slots ? CONNS : 0);
    return rc < 0 ? rc : backend->open(&rig->state, &config, NULL);
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    if (rig->state)
        backend->close(rig->state);
    for (unsigned i = 0; i < rig->peer_count; i++) {
        close(rig->peers[i].fd);
        if (rig->peers[i].open)
            close(rig->peers[i].conn.fd);
    }
    close(rig->wake_fd);
    lb_pool_done(&rig->pool);
    lb_listener_close(&rig->listeners);
    free(rig);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int wait_ms(struct rig *rig, int timeout_ms, unsigned accept_limit)
{
    const struct lb_turn turn = {.timeout_ns = timeout_ms * NS_PER_MS,
                                 .accept_limit = accept_limit};

    memset(rig->events, 0xee, sizeof(rig->events)); /* nobody relies on what was there */
    rig->next = 0;
    rig->count = backend->wait(rig->state, rig->events, EVENTS, &turn);
    assert_in_range(rig->count, 0, EVENTS);
    return rig->count;
}

/* The next event of the last batch, or of one that comes. */
static const struct lb_event *next_event(struct rig *rig)
{
    uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    while (rig->next == rig->count && wait_ms(rig, patience_ms(), 0) == 0)
        assert_true(time_now_ns() < deadline);
    return &rig->events[rig->next++];
}

static void assert_silence(struct rig *rig)
{
    uint64_t end = time_now_ns() + SHORT_MS * 1000000;

    assert_int_equal(rig->next, rig->count);
    while (time_now_ns() < end)
        assert_int_equal(wait_ms(rig, SHORT_MS, 0), 0);
}

/* Connects a peer and accepts it. */
static struct peer *add_peer(struct rig *rig)
{
    uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    struct peer *peer = &rig->peers[rig->peer_count++];

    *peer = (struct peer){.open = false};
    peer->fd = peer_connect(rig->listeners.items[0].name);
    assert_true(peer->fd >= 0);
    while (wait_ms(rig, patience_ms(), 1) == 0)
        assert_true(time_now_ns() < deadline);
    assert_int_equal(rig->count, 1);
    assert_int_equal(rig->events[0].type, LB_EVENT_ACCEPTED);
    rig->next = 1;
    peer->conn.fd = rig->events[0].fd;
    peer->open = true;
    assert_int_equal(fcntl(peer->conn.fd, F_GETFD), FD_CLOEXEC);
    return peer;
}

static void receive(struct rig *rig, struct peer *peer, bool once)
{
    backend->receive(rig->state, &peer->conn, once);
    assert_true(peer->conn.receiving);
}

static void forget(struct rig *rig, struct peer *peer)
{
    backend->forget(rig->state, &peer->conn);
    close(peer->conn.fd);
    peer->open = false;
}

static void assert_data(struct rig *rig, struct peer *peer, const char *text)
{
    const struct lb_event *event = next_event(rig);

    assert_int_equal(event->type, LB_EVENT_DATA);
    assert_ptr_equal(event->conn, &peer->conn);
    assert_int_equal(event->chunk.size, strlen(text));
    assert_memory_equal(event->chunk.data, text, strlen(text));
    backend->give_back(rig->state, &event->chunk);
}

static void assert_terminal(struct rig *rig, struct peer *peer, int error)
{
    const struct lb_event *event = next_event(rig);

    assert_int_equal(event->type, error ? LB_EVENT_ERROR : LB_EVENT_EOF);
    assert_ptr_equal(event->conn, &peer->conn);
    assert_int_equal(event->error, error);
    assert_false(peer->conn.receiving);
}

static void send_text(const struct peer *peer, const char *text)
{
    assert_int_equal(peer_send(peer->fd, text, strlen(text)), 0);
}

/* ---- one conn -------------------------------------------------------------------------------- */

static void data_then_eof(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    assert_int_equal(open_rig(rig, 4, false), 0);
    peer = add_peer(rig);
    receive(rig, peer, false);
    send_text(peer, "hello");
    assert_data(rig, peer, "hello");
    assert_true(peer->conn.receiving);
    send_text(peer, "world");
    assert_data(rig, peer, "world");
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    assert_terminal(rig, peer, 0);
    assert_silence(rig);
    forget(rig, peer);
    assert_silence(rig);
}

static void data_then_reset(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    assert_int_equal(open_rig(rig, 4, false), 0);
    peer = add_peer(rig);
    send_text(peer, "last words");
    assert_int_equal(peer_reset(peer->fd), 0);
    peer->fd = -1;
    receive(rig, peer, false);
    assert_data(rig, peer, "last words");
    assert_terminal(rig, peer, -ECONNRESET);
    forget(rig, peer);
}

static void once_means_one_chunk(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    assert_int_equal(open_rig(rig, 4, true), 0);
    peer = add_peer(rig);
    receive(rig, peer, true);
    send_text(peer, "one");
    assert_data(rig, peer, "one");
    assert_false(peer->conn.receiving);
    send_text(peer, "two");
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    assert_silence(rig);
    receive(rig, peer, true);
    assert_data(rig, peer, "two");
    assert_silence(rig);
    receive(rig, peer, true);
    assert_terminal(rig, peer, 0);
    forget(rig, peer);
}

static void a_cancel_is_answered(void **state)
{
    static const bool onces[] = {false, true};
    struct rig *rig = *state;

    assert_int_equal(open_rig(rig, 4, true), 0);
    for (int i = 0; i < 2; i++) {
        struct peer *peer = add_peer(rig);

        receive(rig, peer, onces[i]);
        assert_silence(rig);
        backend->cancel(rig->state, &peer->conn);
        backend->cancel(rig->state, &peer->conn);
        assert_terminal(rig, peer, -ECANCELED);
        assert_silence(rig);
        /* It may be received from again. */
        send_text(peer, "again");
        receive(rig, peer, true);
        assert_data(rig, peer, "again");
        forget(rig, peer);
    }
}

static void an_idle_conn_can_not_be_cancelled(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    assert_int_equal(open_rig(rig, 4, true), 0);
    peer = add_peer(rig);
    backend->cancel(rig->state, &peer->conn);
    assert_silence(rig);
    receive(rig, peer, true);
    send_text(peer, "x");
    assert_data(rig, peer, "x");
    backend->cancel(rig->state, &peer->conn);
    assert_silence(rig);
    forget(rig, peer);
}

/* Data that is there already may come before the end, or not; but then the end comes. */
static void a_cancel_with_data_queued(void **state)
{
    struct rig *rig = *state;
    struct peer *peer;

    assert_int_equal(open_rig(rig, 4, false), 0);
    peer = add_peer(rig);
    send_text(peer, "queued");
    assert_int_equal(peer_await_acked(peer->fd), 0);
    receive(rig, peer, false);
    backend->cancel(rig->state, &peer->conn);
    while (peer->conn.receiving) {
        wait_ms(rig, patience_ms(), 0);
        for (int i = 0; i < rig->count; i++) {
            assert_ptr_equal(rig->events[i].conn, &peer->conn);
            if (rig->events[i].type == LB_EVENT_DATA)
                backend->give_back(rig->state, &rig->events[i].chunk);
            else
                assert_int_equal(rig->events[i].error, -ECANCELED);
        }
        rig->next = rig->count;
    }
    assert_silence(rig);
    forget(rig, peer);
}

/* A child process, say, holds the descriptor too: closing it does not end the connection. It must
 * not be heard of any more, nor disturb the next one with the same number. */
static void a_descriptor_is_held_elsewhere(void **state)
{
    struct rig *rig = *state;
    struct peer *old, *new;
    int held, number;

    assert_int_equal(open_rig(rig, 4, false), 0);
    old = add_peer(rig);
    number = old->conn.fd;
    held = fcntl(number, F_DUPFD_CLOEXEC, 100);
    assert_true(held >= 0);
    receive(rig, old, false);
    send_text(old, "x");
    assert_data(rig, old, "x");
    assert_int_equal(shutdown(old->fd, SHUT_WR), 0);
    assert_terminal(rig, old, 0);
    forget(rig, old);
    new = add_peer(rig);
    /* add_peer's own end was made first; so that the number is the conn's, change places. */
    if (new->fd == number) {
        new->fd = fcntl(number, F_DUPFD_CLOEXEC, 100);
        assert_int_equal(dup3(new->conn.fd, number, O_CLOEXEC), number);
        close(new->conn.fd);
        new->conn.fd = number;
    }
    assert_int_equal(new->conn.fd, number);
    receive(rig, new, false);
    assert_silence(rig);
    send_text(new, "y");
    assert_data(rig, new, "y");
    backend->cancel(rig->state, &new->conn);
    assert_terminal(rig, new, -ECANCELED);
    forget(rig, new);
    close(held);
}

/* ---- many conns ------------------------------------------------------------------------------ */

/* Some conns use up all slots while others that have no data are armed too. Those must be heard
 * when their data comes, though nothing else happens any more. */
static void assert_nobody_is_left_waiting(struct rig *rig, unsigned slots, bool whole_slots)
{
    char slot_full[SLOT_SIZE];
    unsigned got = 0;

    assert_int_equal(open_rig(rig, slots, whole_slots), 0);
    memset(slot_full, 's', sizeof(slot_full));
    for (unsigned i = 0; i < CONNS; i++)
        add_peer(rig);
    for (unsigned i = 0; i < slots; i++) {
        assert_int_equal(peer_send(rig->peers[i].fd, slot_full, sizeof(slot_full)), 0);
        assert_int_equal(peer_await_acked(rig->peers[i].fd), 0);
    }
    for (unsigned i = 0; i < CONNS; i++)
        receive(rig, &rig->peers[i], whole_slots);
    while (got < slots * SLOT_SIZE) {
        assert_true(wait_ms(rig, patience_ms(), 0) >= 0);
        for (int i = 0; i < rig->count; i++) {
            assert_int_equal(rig->events[i].type, LB_EVENT_DATA);
            got += (unsigned)rig->events[i].chunk.size;
            backend->give_back(rig->state, &rig->events[i].chunk);
        }
        rig->next = rig->count;
    }
    assert_silence(rig);
    for (unsigned i = CONNS - 1; i >= slots; i--) {
        send_text(&rig->peers[i], "me too");
        assert_data(rig, &rig->peers[i], "me too");
    }
    for (unsigned i = 0; i < CONNS; i++) {
        bool receiving = rig->peers[i].conn.receiving;

        backend->cancel(rig->state, &rig->peers[i].conn);
        if (receiving)
            assert_terminal(rig, &rig->peers[i], -ECANCELED);
        forget(rig, &rig->peers[i]);
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

/* ---- accepting, waking, watching ------------------------------------------------------------- */

static void accepting_ends_at_once(void **state)
{
    struct rig *rig = *state;
    const struct lb_backend_status *status;
    uint64_t begin;

    assert_int_equal(open_rig(rig, 4, false), 0);
    status = backend->status(rig->state);
    wait_ms(rig, 0, 10);
    begin = time_now_ns();
    while (status->accepting)
        assert_int_equal(wait_ms(rig, 2 * patience_ms(), 0), 0);
    assert_true(time_now_ns() - begin < (uint64_t)patience_ms() * 1000000);
    /* From now on peers stay in the backlog, until they are asked for. */
    rig->peers[0].fd = peer_connect(rig->listeners.items[0].name);
    rig->peer_count = 1;
    assert_true(rig->peers[0].fd >= 0);
    assert_silence(rig);
    while (wait_ms(rig, patience_ms(), 10) == 0)
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

    assert_int_equal(open_rig(rig, 4, false), 0);
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

    assert_int_equal(open_rig(rig, 4, false), 0);
    wait_ms(rig, 0, 10);
    for (int i = 0; i < 2; i++) {
        uint64_t begin = time_now_ns(), end = begin + SHORT_MS * 1000000;
        unsigned waits = 0;

        for (; time_now_ns() < end; waits++)
            assert_int_equal(wait_ms(rig, SHORT_MS, limits[i]), 0);
        /* It may return without cause, but not all the time. */
        assert_in_range(waits, 1, 6);
        wait_ms(rig, 0, limits[i]);
    }
}

static void a_wake_is_heard(void **state)
{
    const uint64_t one = 1;
    struct rig *rig = *state;
    uint64_t count;

    assert_int_equal(open_rig(rig, 4, false), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(rig->wake_fd, &one, sizeof(one)), sizeof(one));
        assert_int_equal(next_event(rig)->type, LB_EVENT_WAKE);
        assert_int_equal(read(rig->wake_fd, &count, sizeof(count)), sizeof(count));
        assert_silence(rig);
    }
}

static void assert_ready(struct rig *rig, const void *cookie)
{
    const struct lb_event *event = next_event(rig);

    assert_int_equal(event->type, LB_EVENT_READY);
    assert_ptr_equal(event->cookie, cookie);
}

static void a_watch_fires_once(void **state)
{
    struct rig *rig = *state;
    alignas(16) char cookies[32];
    int pipes[2];

    assert_int_equal(open_rig(rig, 4, false), 0);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies), 0);
    assert_silence(rig);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_ready(rig, cookies);
    assert_silence(rig);
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
    assert_silence(rig);
}

static void a_watch_is_replaced_or_withdrawn(void **state)
{
    struct rig *rig = *state;
    alignas(16) char cookies[32];
    int pipes[2];

    assert_int_equal(open_rig(rig, 4, false), 0);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies + 16), 0);
    assert_silence(rig);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_ready(rig, cookies + 16);
    assert_silence(rig);
    assert_int_equal(read(pipes[0], cookies, 1), 1);
    assert_int_equal(backend->watch(rig->state, pipes[0], POLLIN, cookies), 0);
    assert_silence(rig);
    assert_int_equal(backend->watch(rig->state, pipes[0], 0, NULL), 0);
    assert_int_equal(backend->watch(rig->state, pipes[0], 0, NULL), 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_silence(rig);
    close(pipes[0]);
    close(pipes[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(data_then_eof),
        TEST(data_then_reset),
        TEST(once_means_one_chunk),
        TEST(a_cancel_is_answered),
        TEST(an_idle_conn_can_not_be_cancelled),
        TEST(a_cancel_with_data_queued),
        TEST(a_descriptor_is_held_elsewhere),
        TEST(nobody_is_left_waiting_for_a_slot),
        TEST(nobody_is_left_waiting_for_a_part_of_a_slot),
        TEST(nobody_is_left_waiting_for_the_only_slot),
        TEST(accepting_ends_at_once),
        TEST(closing_forgets_nobody),
        TEST(a_wait_takes_its_time),
        TEST(a_wake_is_heard),
        TEST(a_watch_fires_once),
        TEST(a_watch_is_replaced_or_withdrawn),
    };
    struct lb_error error = {0};

    for (size_t i = 0; argc > 1 && lb_backends[i]; i++)
        if (strcmp(lb_backends[i]->name, argv[1]) == 0)
            backend = lb_backends[i];
    if (!backend) {
        fprintf(stderr, "usage: %s BACKEND\n", argv[0]);
        return 2;
    }
    if (backend->probe(NULL, &error) < 0) {
        fprintf(stderr, "skipped: %s\n", error.text);
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
