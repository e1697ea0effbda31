/* SPDX-License-Identifier: MIT */
#include "backend_rig.h"

#include "support.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SKIPPED = 77 };

#define NS_PER_MS INT64_C(1000000)

const struct lb_backend *backend;

/* What every wait gathers, though there is no load. */
static uint64_t gather_ns;

void rig_open(struct rig *rig, unsigned slots, bool whole_slots)
{
    const struct lb_listener_options options = {.sockets = 1};
    const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct lb_backend_config config = {
        .listener_count = 1,
        .max_streams = CONNS,
        .pool = &rig->pool,
        .whole_slots = whole_slots,
    };

    assert_int_equal(lb_listener_open(&rig->listeners, addresses, &options, NULL), 0);
    if (!rig->slot_size)
        rig->slot_size = SLOT_SIZE;
    config.listeners = rig->listeners.items[0].fds;
    config.wake_fd = rig->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(lb_pool_init(&rig->pool, rig->slot_size, slots, whole_slots ? CONNS : 0), 0);
    assert_int_equal(backend->open(&rig->state, &config, NULL), 0);
}

int rig_setup(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return 0;
}

int rig_teardown(void **state)
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

int rig_wait(struct rig *rig, int timeout_ms, unsigned accept_limit)
{
    const struct lb_turn turn = {
        .timeout_ns = timeout_ms * NS_PER_MS, .gather_ns = gather_ns, .accept_limit = accept_limit};

    memset(rig->events, 0xee, sizeof(rig->events)); /* nobody relies on what was there */
    rig->next = 0;
    rig->count = backend->wait(rig->state, rig->events, EVENTS, &turn);
    assert_in_range(rig->count, 0, EVENTS);
    return rig->count;
}

const struct lb_event *rig_next_event(struct rig *rig)
{
    uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    while (rig->next == rig->count && rig_wait(rig, patience_ms(), 0) == 0)
        assert_true(time_now_ns() < deadline);
    return &rig->events[rig->next++];
}

void rig_assert_silence(struct rig *rig)
{
    uint64_t end = time_now_ns() + SHORT_MS * 1000000;

    assert_int_equal(rig->next, rig->count);
    while (time_now_ns() < end)
        assert_int_equal(rig_wait(rig, SHORT_MS, 0), 0);
}

struct peer *rig_add_peer(struct rig *rig)
{
    uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    struct peer *peer = &rig->peers[rig->peer_count++];

    *peer = (struct peer){.open = false};
    peer->fd = peer_connect(rig->listeners.items[0].name);
    assert_true(peer->fd >= 0);
    while (rig_wait(rig, patience_ms(), 1) == 0)
        assert_true(time_now_ns() < deadline);
    assert_int_equal(rig->count, 1);
    assert_int_equal(rig->events[0].type, LB_EVENT_ACCEPTED);
    rig->next = 1;
    peer->conn.fd = rig->events[0].fd;
    peer->open = true;
    assert_int_equal(fcntl(peer->conn.fd, F_GETFD), FD_CLOEXEC);
    return peer;
}

void rig_receive(struct rig *rig, struct peer *peer, bool once)
{
    backend->receive(rig->state, &peer->conn, once);
    assert_true(peer->conn.receiving);
}

void rig_forget(struct rig *rig, struct peer *peer)
{
    backend->forget(rig->state, &peer->conn);
    close(peer->conn.fd);
    peer->open = false;
}

void rig_assert_data(struct rig *rig, const struct peer *peer, const char *text)
{
    const struct lb_event *event = rig_next_event(rig);

    assert_int_equal(event->type, LB_EVENT_DATA);
    assert_ptr_equal(event->conn, &peer->conn);
    assert_int_equal(event->chunk.size, strlen(text));
    assert_memory_equal(event->chunk.data, text, strlen(text));
    backend->give_back(rig->state, &event->chunk);
}

void rig_assert_terminal(struct rig *rig, const struct peer *peer, int error)
{
    const struct lb_event *event = rig_next_event(rig);

    assert_int_equal(event->type, error ? LB_EVENT_ERROR : LB_EVENT_EOF);
    assert_ptr_equal(event->conn, &peer->conn);
    assert_int_equal(event->error, error);
    assert_false(peer->conn.receiving);
}

void peer_send_text(const struct peer *peer, const char *text)
{
    assert_int_equal(peer_send(peer->fd, text, strlen(text)), 0);
}

int backend_main(int argc, char **argv, int (*run)(void))
{
    struct lb_error error = {LB_ERROR_INIT};

    for (size_t i = 0; argc > 1 && lb_backends[i]; i++)
        if (strcmp(lb_backends[i]->name, argv[1]) == 0)
            backend = lb_backends[i];
    if (argc > 2 && strcmp(argv[2], "gathering") == 0)
        gather_ns = 300000;
    if (!backend || (argc > 2 && !gather_ns)) {
        fprintf(stderr, "usage: %s BACKEND [gathering]\n", argv[0]);
        return 2;
    }
    if (backend->probe(NULL, &error) < 0) {
        fprintf(stderr, "skipped: %s\n", error.text);
        return SKIPPED;
    }
    return run();
}
