/* SPDX-License-Identifier: MIT */
/* Readiness, made to look like completion: wait until a socket is readable, receive into a slot. */
#include "accept.h"
#include "backends.h"
#include "error.h"
#include "readiness.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
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
    struct lb_conn *failed; /* their terminal events are owed */
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
    conn->error = error;
    conn->next = state->failed;
    state->failed = conn;
}

static void receive(void *opaque, struct lb_conn *conn, bool once)
{
    struct state *state = opaque;
    int rc;

    assert(!conn->receiving);
    conn->receiving = true;
    conn->once = once;
    if (conn->armed)
        return;
    rc = control(state, EPOLL_CTL_ADD, conn->fd, EPOLLIN, (uintptr_t)conn | TAG_CONN);
    conn->armed = rc == 0;
    if (rc < 0)
        fail(state, conn, rc);
}

static void cancel(void *opaque, struct lb_conn *conn)
{
    if (conn->receiving && !conn->error)
        fail(opaque, conn, -ECANCELED);
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

static int set_accepting(struct state *state, bool on)
{
    const struct lb_backend_config *config = &state->config;

    if (state->status.accepting == on)
        return 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        /* Exclusive: a listener that workers share wakes one of them, not all. */
        int rc = control(state, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, config->listeners[i],
                         EPOLLIN | EPOLLEXCLUSIVE, i * (TAG_MASK + 1) | TAG_LISTENER);

        if (rc < 0)
            return rc;
    }
    state->status.accepting = on;
    return 0;
}

static unsigned accept_some(struct state *state, size_t listener, struct lb_event *events,
                            unsigned max, const struct lb_turn *turn)
{
    unsigned limit = turn->accept_limit < max ? turn->accept_limit : max;

    return lb_accept_batch(state->config.listeners[listener], events,
                           limit < ACCEPT_BATCH ? limit : ACCEPT_BATCH);
}

/* Level-triggered: a conn that is not being received from would be reported for ever. Most conns
 * are received from again before that, or closed, so it is undone only here. */
static void disarm(struct state *state, struct lb_conn *conn)
{
    control(state, EPOLL_CTL_DEL, conn->fd, 0, 0);
    conn->armed = false;
}

/* Lets readiness gather: what was reported meanwhile is taken by one epoll_wait. */
static void gather(uint64_t ns)
{
    const struct timespec pause = {.tv_nsec = (long)ns};

    nanosleep(&pause, NULL);
}

static void forget(void *opaque, struct lb_conn *conn)
{
    struct state *state = opaque;

    /* close() would take it out of the epoll set only if nobody else held the connection open, and
     * a child between fork and exec does (epoll(7), questions and answers). */
    if (conn->armed)
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
        return !conn->error && lb_readiness_receive(state->config.pool, conn, events);
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

static int wait_events(void *opaque, struct lb_event *events, unsigned max,
                       const struct lb_turn *turn)
{
    struct state *state = opaque;
    struct lb_pool *pool = state->config.pool;
    bool was_accepting = state->status.accepting, block;
    unsigned lent = 0, count = 0;
    int rc = set_accepting(state, turn->accept_limit > 0);

    if (rc < 0)
        return rc;
    for (; state->failed && count < max; count++) {
        struct lb_conn *conn = state->failed;

        state->failed = conn->next;
        lb_readiness_fail(conn, &events[count]);
    }
    if (state->ready_next == state->ready_count) {
        state->ready_next = state->ready_count = 0;
        /* That accepting is over is news the worker may be waiting for. */
        if (turn->gather_ns && count == 0)
            gather(turn->gather_ns);
        block = count == 0 && was_accepting <= state->status.accepting;
        rc = epoll_wait(state->epoll, state->ready, READY_MAX,
                        block ? lb_readiness_timeout_ms(turn) : 0);
        if (rc < 0 && errno != EINTR)
            return -errno;
        state->ready_count = rc < 0 ? 0 : rc;
    }
    /* As many slots a batch as stay warm; what is ready beyond them is served by the next wait. */
    while (state->ready_next < state->ready_count && count < max && lent < pool->working) {
        unsigned more =
            translate(state, &state->ready[state->ready_next++], &events[count], max - count, turn);

        if (more == 1 && events[count].type == LB_EVENT_DATA)
            lent++;
        count += more;
    }
    return (int)count;
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
    return (struct lb_pool_shape){.slot_size = 128 << 10, .slots = 4};
}

const struct lb_backend lb_backend_epoll = {
    .name = "epoll",
    .shape = shape,
    .probe = probe_epoll,
    .open = open_epoll,
    .close = close_epoll,
    .receive = receive,
    .cancel = cancel,
    .forget = forget,
    .watch = watch,
    .wait = wait_events,
    .give_back = give_back,
    .status = status,
};
