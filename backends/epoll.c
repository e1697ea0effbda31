/* SPDX-License-Identifier: MIT */
/* Readiness, made to look like completion: wait until a socket is readable, receive into a slot. */
#include "accept.h"
#include "clock.h"
#include "cpu_cache.h"
#include "error.h"
#include "readiness.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    READY_MAX = 128,  /* ready descriptors taken from the kernel at once */
    ACCEPT_BATCH = 64 /* accepted from one listener before streams get their turn */
};

/* What an epoll event is about, in the low bits beside a pointer (aligned to 16) or an index. */
enum tag { TAG_CONN, TAG_WATCH, TAG_LISTENER, TAG_WAKE, TAG_MASK = 15 };

struct state {
    int epoll;
    struct lb_backend_config config;
    struct lb_backend_status status;
    struct lb_conn *failed;              /* their terminal events are owed */
    struct lb_conn *fresh, **fresh_tail; /* not armed: they are received from without being asked */
    bool fresh_first;
    struct epoll_event ready[READY_MAX];
    int ready_next, ready_count;
};

static int control(struct state *state, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    return epoll_ctl(state->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

static int probe_epoll(struct lb_probe *probe, struct lb_error *error)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    (void)probe;
    if (fd < 0)
        return lb_error_set(error, -errno, "epoll_create1: %s", strerror(errno));
    close(fd);
    return 0;
}

static void close_epoll(void *opaque)
{
    struct state *state = opaque;

    if (state->epoll >= 0)
        close(state->epoll);
    free(state);
}

static int open_epoll(void **result, const struct lb_backend_config *config, struct lb_error *error)
{
    struct state *state = calloc(1, sizeof(*state));
    int rc;

    if (!state)
        return lb_error_set(error, -ENOMEM, "out of memory");
    state->config = *config;
    state->fresh_tail = &state->fresh;
    state->epoll = epoll_create1(EPOLL_CLOEXEC);
    rc = state->epoll < 0 ? -errno : lb_readiness_prepare(config);
    if (rc == 0)
        rc = control(state, EPOLL_CTL_ADD, config->wake_fd, EPOLLIN, TAG_WAKE);
    if (rc < 0) {
        close_epoll(state);
        return lb_error_set(error, rc, "epoll can't be set up: %s", strerror(-rc));
    }
    *result = state;
    return 0;
}

/* Its terminal event will say error. */
static void fail(struct state *state, struct lb_conn *conn, int error)
{
    lb_conn_part(conn)->error = error;
    lb_conn_part(conn)->next = state->failed;
    state->failed = conn;
}

static void add_fresh(struct state *state, struct lb_conn *conn)
{
    lb_conn_part(conn)->next = NULL;
    *state->fresh_tail = conn;
    state->fresh_tail = &lb_conn_part(conn)->next;
}

static void arm(struct state *state, struct lb_conn *conn)
{
    int rc = control(state, EPOLL_CTL_ADD, conn->fd, EPOLLIN, (uintptr_t)conn | TAG_CONN);

    lb_conn_part(conn)->armed = rc == 0;
    if (rc < 0)
        fail(state, conn, rc);
}

/* A new conn is most likely to have data already, and a short one its EOF too: it is armed only
 * when it is found empty, and many never are. */
static void receive(void *opaque, struct lb_conn *conn, bool once)
{
    assert(!conn->receiving);
    conn->receiving = true;
    lb_conn_part(conn)->once = once;
    if (!lb_conn_part(conn)->armed)
        add_fresh(opaque, conn);
}

static void await_readable(void *opaque, struct lb_conn *conn)
{
    assert(!conn->receiving);
    lb_readiness_await(conn);
    if (!lb_conn_part(conn)->armed)
        arm(opaque, conn);
}

static void cancel(void *opaque, struct lb_conn *conn)
{
    if (!conn->receiving || lb_conn_part(conn)->error)
        return;
    if (lb_conn_part(conn)->armed)
        fail(opaque, conn, -ECANCELED);
    else
        lb_conn_part(conn)->error = -ECANCELED; /* it is among the fresh */
}

static int watch(void *opaque, int fd, unsigned events, void *cookie)
{
    struct state *state = opaque;
    uint64_t data = (uintptr_t)cookie | TAG_WATCH;
    int rc;

    /* POLLIN and POLLOUT have the same values in epoll (epoll_ctl(2)). */
    if (events == 0)
        return control(state, EPOLL_CTL_DEL, fd, 0, 0) == -EBADF ? -EBADF : 0;
    rc = control(state, EPOLL_CTL_MOD, fd, events | EPOLLONESHOT, data);
    return rc == -ENOENT ? control(state, EPOLL_CTL_ADD, fd, events | EPOLLONESHOT, data) : rc;
}

static void unwatch_listeners(struct state *state, size_t count)
{
    for (size_t i = 0; i < count; i++)
        control(state, EPOLL_CTL_DEL, state->config.listeners[i], 0, 0);
    state->status.accepting = false;
}

/* Returns how many events were written: 0, or 1 when the kernel has no memory for it, or no watch
 * left (ENOSPC), which is no reason to end the streams. */
static unsigned set_accepting(struct state *state, bool on, struct lb_event *event)
{
    const struct lb_backend_config *config = &state->config;

    if (state->status.accepting == on)
        return 0;
    if (!on) {
        unwatch_listeners(state, config->listener_count);
        return 0;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        /* Exclusive: a listener that workers share wakes one of them, not all. */
        int rc = control(state, EPOLL_CTL_ADD, config->listeners[i], EPOLLIN | EPOLLEXCLUSIVE,
                         i * (TAG_MASK + 1) | TAG_LISTENER);

        if (rc < 0) {
            unwatch_listeners(state, i);
            *event = (struct lb_event){.type = LB_EVENT_ACCEPT_FAILED, .error = rc};
            return 1;
        }
    }
    state->status.accepting = true;
    return 0;
}

/* A share of the limit, rounded up: no listener can use up the others'. */
static unsigned accept_some(struct state *state, size_t listener, struct lb_event *events,
                            unsigned max, const struct lb_turn *turn)
{
    size_t listeners = state->config.listener_count;
    size_t share = (turn->accept_limit + listeners - 1) / listeners;
    unsigned limit = share < max ? (unsigned)share : max;

    return lb_accept_batch(&state->config, listener, events,
                           limit < ACCEPT_BATCH ? limit : ACCEPT_BATCH);
}

/* Level-triggered: a conn that is not being received from would be reported for ever. Most conns
 * are received from again before that, or closed, so it is undone only here. */
static void disarm(struct state *state, struct lb_conn *conn)
{
    control(state, EPOLL_CTL_DEL, conn->fd, 0, 0);
    lb_conn_part(conn)->armed = false;
}

static void forget(void *opaque, struct lb_conn *conn)
{
    struct state *state = opaque;

    /* close() would take it out of the epoll set only if nobody else held the connection open, and
     * a child between fork and exec does (epoll(7), questions and answers). */
    if (lb_conn_part(conn)->armed)
        disarm(state, conn);
    for (int i = state->ready_next; i < state->ready_count; i++)
        if (state->ready[i].data.u64 == ((uintptr_t)conn | TAG_CONN))
            state->ready[i].events = 0;
}

/* Turns one readiness into events. Returns how many. */
static unsigned translate(struct state *state, const struct epoll_event *ready,
                          struct lb_event *events, unsigned max, const struct lb_turn *turn)
{
    struct lb_conn *conn;

    switch ((enum tag)(ready->data.u64 & TAG_MASK)) {
    case TAG_CONN:
        if (!ready->events)
            return 0;
        conn = (struct lb_conn *)(uintptr_t)(ready->data.u64 & ~(uint64_t)TAG_MASK);
        if (!conn->receiving) {
            disarm(state, conn);
            return 0;
        }
        /* EPOLLRDHUP, EPOLLHUP and EPOLLERR say the same as EPOLLIN here: receive, and believe
         * what that returns. What was queued before them comes first. */
        return !lb_conn_part(conn)->error && lb_readiness_receive(state->config.pool, conn, events);
    case TAG_WATCH:
        *events = (struct lb_event){
            .type = LB_EVENT_READY,
            .cookie = (void *)(uintptr_t)(ready->data.u64 & ~(uint64_t)TAG_MASK),
        };
        return 1;
    case TAG_LISTENER:
        return accept_some(state, ready->data.u64 / (TAG_MASK + 1), events, max, turn);
    case TAG_WAKE:
    default:
        *events = (struct lb_event){.type = LB_EVENT_WAKE};
        return 1;
    }
}

static unsigned report_failed(struct state *state, struct lb_event *events, unsigned max)
{
    unsigned count = 0;

    for (; state->failed && count < max; count++) {
        struct lb_conn *conn = state->failed;

        state->failed = lb_conn_part(conn)->next;
        /* Its descriptor may be watched from now on, as anything else. */
        forget(state, conn);
        lb_readiness_fail(conn, &events[count]);
    }
    return count;
}

/* A batch's events, and how many slots it may still lend: as many as stay warm. */
struct batch {
    struct lb_event *events;
    unsigned count, max, slots;
};

static bool has_room(const struct batch *batch)
{
    return batch->count < batch->max && batch->slots > 0;
}

static void add_events(struct batch *batch, unsigned more)
{
    if (more == 1 && batch->events[batch->count].type == LB_EVENT_DATA)
        batch->slots--;
    batch->count += more;
}

/* What it received did not fill its slot, so its EOF may be next: worth one more try. A conn that
 * has more to send takes its turn with the others. */
static bool stays_fresh(const struct state *state, struct lb_conn *conn,
                        const struct lb_event *event)
{
    return event->chunk.size < state->config.pool->slot_size && lb_conn_part(conn)->batch++ == 0;
}

/* Each of the fresh once. */
static void receive_fresh(struct state *state, struct batch *batch)
{
    struct lb_conn *conn = state->fresh, *next;

    state->fresh = NULL;
    state->fresh_tail = &state->fresh;
    for (; conn; conn = next) {
        bool told = false;

        next = lb_conn_part(conn)->next;
        if (!has_room(batch)) {
            add_fresh(state, conn);
            continue;
        }
        if (lb_conn_part(conn)->error)
            lb_readiness_fail(conn, &batch->events[batch->count]);
        else
            told = lb_readiness_receive(state->config.pool, conn, &batch->events[batch->count]);
        if (conn->receiving && told && stays_fresh(state, conn, &batch->events[batch->count]))
            add_fresh(state, conn);
        else if (conn->receiving)
            arm(state, conn);
        add_events(batch, told || !conn->receiving);
    }
}

/* A conn that filled its slot has more, most likely. If nobody waits behind it, it may fill what
 * the batch has left: asking the kernel again, or gathering again, would cost more. */
static void receive_more(struct state *state, struct batch *batch)
{
    bool received = true;

    while (received && batch->count > 0 && has_room(batch) &&
           state->ready_next == state->ready_count) {
        const struct lb_event *last = &batch->events[batch->count - 1];
        struct lb_conn *conn = last->conn;

        if (last->type != LB_EVENT_DATA || last->chunk.size < state->config.pool->slot_size ||
            !conn->receiving || !lb_conn_part(conn)->armed || lb_conn_part(conn)->error)
            return;
        received = lb_readiness_receive(state->config.pool, conn, &batch->events[batch->count]);
        add_events(batch, received);
    }
}

static int poll_ready(struct state *state, bool block, const struct lb_turn *turn)
{
    int rc;

    /* What becomes ready meanwhile is reported by one epoll_wait, and what that has no room for has
     * waited long enough. */
    if (turn->gather_ns && block && state->ready_count < READY_MAX)
        lb_clock_sleep(turn->gather_ns);
    state->status.polls += block;
    rc = epoll_wait(state->epoll, state->ready, READY_MAX,
                    block ? lb_readiness_timeout_ms(turn) : 0);
    if (rc < 0 && errno != EINTR)
        return -errno;
    state->ready_next = 0;
    state->ready_count = rc < 0 ? 0 : rc;
    return 0;
}

static int wait_events(void *opaque, struct lb_event *events, unsigned max,
                       const struct lb_turn *turn)
{
    struct state *state = opaque;
    struct batch batch = {.events = events, .max = max, .slots = state->config.pool->working};
    bool was_accepting = state->status.accepting, block;
    int rc;

    batch.count = set_accepting(state, turn->accept_limit > 0, events);
    batch.count += report_failed(state, events + batch.count, max - batch.count);
    /* By turns, as either could use up all slots for ever. */
    state->fresh_first = !state->fresh_first;
    if (state->fresh_first)
        receive_fresh(state, &batch);
    if (state->ready_next == state->ready_count) {
        /* That accepting is over is news the worker may be waiting for. */
        block = batch.count == 0 && !state->fresh && !state->failed &&
                was_accepting <= state->status.accepting;
        rc = poll_ready(state, block, turn);
        if (rc < 0)
            return rc;
    }
    /* What is ready beyond the batch is served by the next wait. */
    while (state->ready_next < state->ready_count && has_room(&batch))
        add_events(&batch, translate(state, &state->ready[state->ready_next++],
                                     &batch.events[batch.count], batch.max - batch.count, turn));
    receive_more(state, &batch);
    if (!state->fresh_first)
        receive_fresh(state, &batch);
    return (int)batch.count;
}

static void give_back(void *opaque, const struct lb_chunk *chunk)
{
    struct state *state = opaque;

    lb_readiness_give_back(state->config.pool, chunk);
}

static int poll_fd(const void *opaque)
{
    const struct state *state = opaque;

    return state->epoll;
}

static const struct lb_backend_status *status(const void *opaque)
{
    const struct state *state = opaque;

    return &state->status;
}

static struct lb_pool_shape shape(bool whole_slots)
{
    (void)whole_slots;
    size_t slot_size = 128 << 10;

    return (struct lb_pool_shape){slot_size, (unsigned)(lb_cpu_cache_size() / 2 / slot_size)};
}

const struct lb_backend lb_backend_epoll = {
    .name = "epoll",
    .help = "epoll, on every Linux",
    .accepts_ahead = 1,
    .shape = shape,
    .probe = probe_epoll,
    .open = open_epoll,
    .close = close_epoll,
    .receive = receive,
    .await = await_readable,
    .cancel = cancel,
    .forget = forget,
    .watch = watch,
    .wait = wait_events,
    .give_back = give_back,
    .poll_fd = poll_fd,
    .status = status,
};
