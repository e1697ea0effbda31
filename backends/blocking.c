/* SPDX-License-Identifier: MIT */
/* The classic pre-threaded server: each worker has one stream at a time, waits for it alone, and
 * receives straight into a slot. */
#include "accept.h"
#include "error.h"
#include "readiness.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { POLL_WAKE, POLL_CONN, POLL_WATCHES, WATCHES_MAX = 8 };

struct state {
    struct lb_backend_config config;
    struct lb_backend_status status;
    /* The listeners, for the time between streams. All workers wait for the same peers there, and
     * EPOLLEXCLUSIVE wakes one of them for each; poll(2) would wake them all. */
    int peers;
    struct lb_conn *conn; /* being received from, or NULL */
    struct pollfd polls[POLL_WATCHES + WATCHES_MAX];
    void *cookies[WATCHES_MAX];
    unsigned watches;
};

static int probe_blocking(struct lb_probe *probe, struct lb_error *error)
{
    (void)probe;
    (void)error;
    return 0;
}

static void close_blocking(void *opaque)
{
    struct state *state = opaque;

    if (state->peers >= 0)
        close(state->peers);
    free(state);
}

static int watch_peers(struct state *state, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    return epoll_ctl(state->peers, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_blocking(void **result, const struct lb_backend_config *config,
                         struct lb_error *error)
{
    struct state *state = calloc(1, sizeof(*state));
    int rc;

    if (!state)
        return lb_error_set(error, -ENOMEM, "out of memory");
    state->config = *config;
    state->polls[POLL_WAKE] = (struct pollfd){.fd = config->wake_fd, .events = POLLIN};
    state->polls[POLL_CONN] = (struct pollfd){.fd = -1, .events = POLLIN};
    state->peers = epoll_create1(EPOLL_CLOEXEC);
    rc = state->peers < 0 ? -errno : lb_readiness_prepare(config);
    if (rc == 0)
        rc = watch_peers(state, config->wake_fd, EPOLLIN, UINT64_MAX);
    for (size_t i = 0; rc == 0 && i < config->listener_count; i++)
        rc = watch_peers(state, config->listeners[i], EPOLLIN | EPOLLEXCLUSIVE, i);
    if (rc < 0) {
        close_blocking(state);
        return lb_error_set(error, rc, "blocking can't be set up: %s", strerror(-rc));
    }
    *result = state;
    return 0;
}

static void receive(void *opaque, struct lb_conn *conn, bool once)
{
    struct state *state = opaque;

    assert(!conn->receiving && !state->conn);
    conn->receiving = true;
    lb_conn_part(conn)->once = once;
    state->conn = conn;
}

static void await_readable(void *opaque, struct lb_conn *conn)
{
    struct state *state = opaque;

    assert(!conn->receiving && !state->conn);
    lb_readiness_await(conn);
    state->conn = conn;
}

static void cancel(void *opaque, struct lb_conn *conn)
{
    (void)opaque;
    if (conn->receiving)
        lb_conn_part(conn)->error = -ECANCELED;
}

static void forget(void *opaque, struct lb_conn *conn)
{
    (void)opaque;
    (void)conn;
}

static unsigned find_watch(const struct state *state, int fd)
{
    unsigned i = 0;

    while (i < state->watches && state->polls[POLL_WATCHES + i].fd != fd)
        i++;
    return i;
}

static void drop_watch(struct state *state, unsigned i)
{
    unsigned last = --state->watches;

    state->polls[POLL_WATCHES + i] = state->polls[POLL_WATCHES + last];
    state->cookies[i] = state->cookies[last];
}

static int watch(void *opaque, int fd, unsigned events, void *cookie)
{
    struct state *state = opaque;
    unsigned i = find_watch(state, fd);

    if (events == 0) {
        if (i < state->watches)
            drop_watch(state, i);
        return 0;
    }
    if (i == WATCHES_MAX)
        return -ENOSPC;
    state->polls[POLL_WATCHES + i] = (struct pollfd){.fd = fd, .events = (short)events};
    state->cookies[i] = cookie;
    if (i == state->watches)
        state->watches++;
    return 0;
}

/* Between streams: waits for a peer. */
static int wait_peer(struct state *state, struct lb_event *events, int timeout_ms)
{
    struct epoll_event ready;
    int rc = epoll_wait(state->peers, &ready, 1, timeout_ms);

    if (rc < 0)
        return errno == EINTR ? 0 : -errno;
    if (rc == 0)
        return 0;
    if (ready.data.u64 == UINT64_MAX) {
        *events = (struct lb_event){.type = LB_EVENT_WAKE};
        return 1;
    }
    return (int)lb_accept_batch(&state->config, ready.data.u64, events, 1);
}

static unsigned report_watches(struct state *state, struct lb_event *events, unsigned max)
{
    unsigned count = 0;

    for (unsigned i = state->watches; i-- > 0 && count < max;) {
        if (!state->polls[POLL_WATCHES + i].revents)
            continue;
        events[count++] = (struct lb_event){.type = LB_EVENT_READY, .cookie = state->cookies[i]};
        drop_watch(state, i);
    }
    return count;
}

static int wait_stream(struct state *state, struct lb_event *events, unsigned max, int timeout_ms)
{
    unsigned count = 0;
    int rc;

    state->polls[POLL_CONN].fd = state->conn ? state->conn->fd : -1;
    rc = poll(state->polls, POLL_WATCHES + state->watches, timeout_ms);
    if (rc < 0)
        return errno == EINTR ? 0 : -errno;
    if (state->polls[POLL_WAKE].revents)
        events[count++] = (struct lb_event){.type = LB_EVENT_WAKE};
    count += report_watches(state, events + count, max - count - 1);
    if (state->conn && state->polls[POLL_CONN].revents) {
        count += lb_readiness_receive(state->config.pool, state->conn, &events[count]);
        if (!state->conn->receiving)
            state->conn = NULL;
    }
    return (int)count;
}

static int wait_events(void *opaque, struct lb_event *events, unsigned max,
                       const struct lb_turn *turn)
{
    struct state *state = opaque;

    if (state->conn && lb_conn_part(state->conn)->error) {
        lb_readiness_fail(state->conn, events);
        state->conn = NULL;
        return 1;
    }
    if (!state->conn && turn->accept_limit > 0)
        return wait_peer(state, events, lb_readiness_timeout_ms(turn));
    return wait_stream(state, events, max, lb_readiness_timeout_ms(turn));
}

static void give_back(void *opaque, const struct lb_chunk *chunk)
{
    struct state *state = opaque;

    lb_readiness_give_back(state->config.pool, chunk);
}

static const struct lb_backend_status *status(const void *opaque)
{
    const struct state *state = opaque;

    return &state->status;
}

static struct lb_pool_shape shape(bool whole_slots)
{
    (void)whole_slots;
    return (struct lb_pool_shape){.slot_size = 256 << 10, .slots = 1};
}

const struct lb_backend lb_backend_blocking = {
    .name = "blocking",
    .help = "a thread for each stream; 64 workers by default",
    .one_stream_per_worker = true,
    .shared_listeners = true,
    .workers = 64,
    .shape = shape,
    .probe = probe_blocking,
    .open = open_blocking,
    .close = close_blocking,
    .receive = receive,
    .await = await_readable,
    .cancel = cancel,
    .forget = forget,
    .watch = watch,
    .wait = wait_events,
    .give_back = give_back,
    .status = status,
};
