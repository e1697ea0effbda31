/* SPDX-License-Identifier: MIT */
/* Completions from the kernel: one multishot accept per listener, one multishot receive per conn
 * into a ring of provided slots. */
#include "uring.h"

#include "accept.h"
#include "bufring.h"
#include "clock.h"
#include "cpu_cache.h"
#include "error.h"
#include "probes.h"
#include "requests.h"
#include "restrictions.h"
#include "uring_watches.h"
#include "waiting.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUBMISSIONS = 256,
    COMPLETIONS = 4096,
    MULTISHOT_ACCEPT_FROM = 1024, /* room that most bursts don't fill */
    ACCEPTS_MAX = 16,             /* that accept one each */
};

/* What the kernel may still accept from one listener. */
struct accepting {
    unsigned armed; /* requests */
    bool cancelled;
};

/* Received bytes that did not fit into the last batch. */
struct rest {
    struct lb_conn *conn;
    unsigned slot;
    size_t size;
    bool terminal; /* the conn's error is owed after them */
};

struct state {
    struct io_uring ring;
    bool enabled;
    bool registered; /* the ring's descriptor, with this thread */
    struct lb_uring_modes modes;
    struct lb_backend_config config;
    struct lb_backend_status status;
    struct lb_bufring buffers;
    struct lb_uring_watches watches;
    struct accepting *accepts; /* one per listener */
    struct lb_waiting waiting; /* found no slot, or failed */
    unsigned receiving;        /* conns that are */
    bool postponed;            /* the last wait has not asked for what gathers */
    struct rest rest;
};

/* ---- requests -------------------------------------------------------------------------------- */

static void arm_receive(struct state *state, struct lb_conn *conn)
{
    lb_request_conn(&state->ring, conn, state->modes);
}

static void arm_wake(struct state *state)
{
    lb_request_wake(&state->ring, state->config.wake_fd);
}

/* One request that accepts all that comes, or some that accept one each: no more are accepted ahead
 * than there is room for. */
static void arm_accepts(struct state *state, size_t listener, unsigned limit)
{
    struct accepting *accepting = &state->accepts[listener];
    bool all = limit >= MULTISHOT_ACCEPT_FROM;
    unsigned most = all ? 1 : limit < ACCEPTS_MAX ? limit : ACCEPTS_MAX;

    for (; accepting->armed < most; accepting->armed++)
        lb_request_accept(&state->ring, listener, state->config.listeners[listener], all);
}

static void set_accepting(struct state *state, const struct lb_turn *turn)
{
    for (size_t i = 0; i < state->config.listener_count; i++) {
        struct accepting *accepting = &state->accepts[i];

        if (turn->accept_limit > 0 && !accepting->cancelled) {
            arm_accepts(state, i, turn->accept_limit);
        } else if (turn->accept_limit == 0 && accepting->armed > 0 && !accepting->cancelled) {
            lb_request_cancel_accepts(&state->ring, i);
            accepting->cancelled = true;
        }
    }
}

static bool is_accepting(const struct state *state)
{
    for (size_t i = 0; i < state->config.listener_count; i++)
        if (state->accepts[i].armed > 0)
            return true;
    return false;
}

/* ---- completions ----------------------------------------------------------------------------- */

static void stop_receiving(struct state *state, struct lb_conn *conn)
{
    state->receiving--;
    conn->receiving = false;
    lb_conn_part(conn)->awaiting = false;
    lb_conn_part(conn)->error = 0;
}

static struct lb_event terminal_event(struct state *state, struct lb_conn *conn, int error)
{
    stop_receiving(state, conn);
    return (struct lb_event){
        .type = error ? LB_EVENT_ERROR : LB_EVENT_EOF,
        .error = error,
        .conn = conn,
    };
}

/* Lends out what was received; what doesn't fit into this batch stays for the next. */
static unsigned lend_rest(struct state *state, struct lb_event *events, unsigned max)
{
    struct rest *rest = &state->rest;
    unsigned count = 0;

    for (; rest->size > 0 && count < max; count++) {
        struct lb_chunk *chunk = &events[count].chunk;

        events[count].type = LB_EVENT_DATA;
        events[count].conn = rest->conn;
        chunk->data = lb_bufring_consume(&state->buffers, &rest->slot, &rest->size, &chunk->size);
    }
    if (rest->size == 0 && rest->terminal && count < max) {
        events[count++] = terminal_event(state, rest->conn, lb_conn_part(rest->conn)->error);
        rest->terminal = false;
    }
    return count;
}

static bool has_rest(const struct state *state)
{
    return state->rest.size > 0 || state->rest.terminal;
}

static unsigned received(struct state *state, struct lb_conn *conn, const struct io_uring_cqe *cqe,
                         struct lb_event *events, unsigned max)
{
    bool ended = !(cqe->flags & IORING_CQE_F_MORE);

    lb_waiting_had_slot(&state->waiting, conn);
    assert(cqe->flags & IORING_CQE_F_BUFFER);
    state->rest = (struct rest){
        .conn = conn,
        .slot = cqe->flags >> IORING_CQE_BUFFER_SHIFT,
        .size = (size_t)cqe->res,
    };
    if (ended && lb_conn_part(conn)->once) {
        stop_receiving(state, conn);
    } else if (ended && lb_conn_part(conn)->error) {
        state->rest.terminal = true;
    } else if (ended) {
        lb_waiting_add(&state->waiting, conn); /* its last receive may have emptied the ring */
    }
    return lend_rest(state, events, max);
}

static unsigned conn_completed(struct state *state, const struct io_uring_cqe *cqe,
                               struct lb_event *events, unsigned max)
{
    struct lb_conn *conn = lb_request_subject(cqe);

    if (!(cqe->flags & IORING_CQE_F_MORE))
        lb_conn_part(conn)->armed = false;
    if (lb_conn_part(conn)->awaiting && cqe->res >= 0) {
        stop_receiving(state, conn);
        events[0] = (struct lb_event){.type = LB_EVENT_READABLE, .conn = conn};
        return 1;
    }
    if (cqe->res > 0)
        return received(state, conn, cqe, events, max);
    if (cqe->flags & IORING_CQE_F_BUFFER)
        lb_bufring_skip(&state->buffers, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    switch (cqe->res) {
    case -ENOBUFS:
        LB_PROBE_STARVED(conn->fd);
        state->status.starved++;
        lb_waiting_add(&state->waiting, conn);
        return 0;
    case -EINTR:
    case -EAGAIN:
        lb_waiting_add(&state->waiting, conn);
        return 0;
    default:
        events[0] = terminal_event(
            state, conn, lb_conn_part(conn)->error ? lb_conn_part(conn)->error : cqe->res);
        return 1;
    }
}

static unsigned accept_completed(struct state *state, const struct io_uring_cqe *cqe,
                                 struct lb_event *event)
{
    size_t listener = lb_request_listener(cqe);

    if (!(cqe->flags & IORING_CQE_F_MORE))
        state->accepts[listener].armed--;
    if (state->accepts[listener].armed == 0)
        state->accepts[listener].cancelled = false;
    if (cqe->res >= 0) {
        *event = (struct lb_event){
            .type = LB_EVENT_ACCEPTED, .listener = (unsigned)listener, .fd = cqe->res};
        return 1;
    }
    if (cqe->res == -ECANCELED || cqe->res == -EAGAIN || lb_accept_is_transient(cqe->res))
        return 0;
    *event = (struct lb_event){.type = LB_EVENT_ACCEPT_FAILED, .error = cqe->res};
    return 1;
}

static unsigned wake_completed(struct state *state, const struct io_uring_cqe *cqe,
                               struct lb_event *event)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_wake(state);
    *event = (struct lb_event){.type = LB_EVENT_WAKE};
    return 1;
}

static unsigned completed(struct state *state, const struct io_uring_cqe *cqe,
                          struct lb_event *events, unsigned max)
{
    switch (lb_request_kind(cqe)) {
    case LB_REQUEST_CONN:
        return conn_completed(state, cqe, events, max);
    case LB_REQUEST_ACCEPT:
        return accept_completed(state, cqe, events);
    case LB_REQUEST_WATCH:
        return lb_uring_watch_completed(&state->watches, &state->ring, cqe, events);
    case LB_REQUEST_WAKE:
        return wake_completed(state, cqe, events);
    case LB_REQUEST_HALF_CLOSED:
        return lb_uring_half_closed_completed(&state->watches, &state->ring, events, max);
    case LB_REQUEST_CANCEL:
    default:
        return 0;
    }
}

static unsigned reap(struct state *state, struct lb_event *events, unsigned max)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, count = 0;

    io_uring_for_each_cqe(&state->ring, head, cqe)
    {
        if (count == max || has_rest(state))
            break;
        count += completed(state, cqe, events + count, max - count);
        seen++;
    }
    io_uring_cq_advance(&state->ring, seen);
    return count;
}

/* ---- who waits for a slot -------------------------------------------------------------------- */

/* Arms one that waits, or gives it its terminal event, or lets it wait on. Returns how many events
 * were written: 0 or 1. */
static unsigned serve(struct state *state, struct lb_conn *conn, struct lb_event *event,
                      unsigned room)
{
    if (lb_conn_part(conn)->error && room > 0) {
        *event = terminal_event(state, conn, lb_conn_part(conn)->error);
        return 1;
    }
    if (!lb_conn_part(conn)->error && lb_bufring_provided(&state->buffers) > 0)
        arm_receive(state, conn);
    else
        lb_waiting_add(&state->waiting, conn);
    return 0;
}

/* Those that found no slot are tried again, before the kernel goes on with the others: so a flood
 * that empties the ring every time can't starve them (liburing issues 758, 1043). */
static unsigned serve_waiting(struct state *state, struct lb_event *events, unsigned max)
{
    struct lb_conn *next;
    unsigned count = 0;

    for (struct lb_conn *conn = lb_waiting_take(&state->waiting); conn; conn = next) {
        next = lb_conn_part(conn)->next;
        count += serve(state, conn, events + count, max - count);
    }
    return count;
}

/* ---- the contract ---------------------------------------------------------------------------- */

static void receive(void *opaque, struct lb_conn *conn, bool once)
{
    struct state *state = opaque;

    assert(!conn->receiving && !lb_conn_part(conn)->error);
    conn->receiving = true;
    state->receiving++;
    lb_conn_part(conn)->once = once;
    /* Armed at once it would be served before those that found no slot. */
    if (lb_waiting_any(&state->waiting))
        lb_waiting_add_last(&state->waiting, conn);
    else
        arm_receive(state, conn);
}

/* It needs no slot, so it waits behind nobody. */
static void await_readable(void *opaque, struct lb_conn *conn)
{
    struct state *state = opaque;

    assert(!conn->receiving && !lb_conn_part(conn)->error);
    conn->receiving = true;
    state->receiving++;
    lb_conn_part(conn)->awaiting = true;
    lb_conn_part(conn)->once = true;
    arm_receive(state, conn);
}

static void cancel(void *opaque, struct lb_conn *conn)
{
    struct state *state = opaque;

    if (!conn->receiving || lb_conn_part(conn)->error)
        return;
    lb_conn_part(conn)->error = -ECANCELED;
    if (lb_conn_part(conn)->armed)
        lb_request_cancel_conn(&state->ring, conn);
}

static void forget(void *opaque, struct lb_conn *conn)
{
    (void)opaque;
    assert(!conn->receiving);
    (void)conn;
}

static int watch(void *opaque, int fd, unsigned events, void *cookie)
{
    struct state *state = opaque;

    return lb_uring_watch(&state->watches, &state->ring, fd, events, cookie);
}

static int enable(struct state *state)
{
    int rc = lb_uring_enable(&state->ring);

    if (rc < 0)
        return rc;
    /* Saves a look-up and a reference at each enter; not having it is no failure. */
    state->registered = io_uring_register_ring_fd(&state->ring) == 1;
    arm_wake(state);
    state->enabled = true;
    return 0;
}

/* Lets bytes gather, then has the kernel receive about once from each conn that has some.
 *
 * By sleeping, not by the minimum wait of io_uring_enter (6.12): that begins by receiving what came
 * since the last enter and goes on for as long as more comes, so that messages are received one by
 * one (DECISIONS.md has figures). Nothing that completes during the sleep wakes this thread: with
 * DEFER_TASKRUN the kernel keeps it until the enter. */
static void gather(struct state *state, const struct lb_turn *turn)
{
    struct __kernel_timespec none = {0};
    struct io_uring_cqe *cqe;
    unsigned most = state->receiving + (unsigned)state->config.listener_count + 1;
    bool ready;

    io_uring_submit(&state->ring);
    ready = io_uring_cq_ready(&state->ring) > 0;
    /* Those that had waited for a slot had bytes. The others gather meanwhile, but not for ever. */
    state->postponed = ready && !state->postponed;
    if (state->postponed)
        return;
    if (!ready)
        lb_clock_sleep(turn->gather_ns);
    io_uring_submit_and_wait_timeout(&state->ring, &cqe,
                                     most < COMPLETIONS / 2 ? most : COMPLETIONS / 2, &none, NULL);
}

/* Submits what is queued and, if block is set, waits as turn says. */
static int enter(struct state *state, bool block, const struct lb_turn *turn)
{
    struct __kernel_timespec limit = {
        .tv_sec = turn->timeout_ns / 1000000000,
        .tv_nsec = turn->timeout_ns % 1000000000,
    };
    struct io_uring_cqe *cqe;
    int rc;

    /* What fails in there fails here again. */
    if (block && turn->gather_ns)
        gather(state, turn);
    rc = io_uring_submit_and_wait_timeout(&state->ring, &cqe, block,
                                          turn->timeout_ns < 0 ? NULL : &limit, NULL);

    switch (rc) {
    case -ETIME:
    case -EINTR:
    case -EAGAIN:
    case -EBUSY: /* the completion queue overflowed: emptying it is the remedy */
        return 0;
    default:
        return rc < 0 ? rc : 0;
    }
}

static int wait_events(void *opaque, struct lb_event *events, unsigned max,
                       const struct lb_turn *turn)
{
    struct state *state = opaque;
    unsigned count;
    bool block;
    int rc = state->enabled ? 0 : enable(state);

    if (rc < 0)
        return rc;
    lb_waiting_begin_batch(&state->waiting);
    lb_bufring_publish(&state->buffers);
    set_accepting(state, turn);
    count = lend_rest(state, events, max);
    count += serve_waiting(state, events + count, max - count);
    /* Those that still wait are not armed, so their bytes would wake nobody. */
    block = count == 0 && io_uring_cq_ready(&state->ring) == 0 &&
            (!lb_waiting_any(&state->waiting) || lb_bufring_provided(&state->buffers) == 0);
    state->status.polls += block;
    rc = enter(state, block, turn);
    if (rc < 0)
        return rc;
    count += reap(state, events + count, max - count);
    state->status.accepting = is_accepting(state);
    return (int)count;
}

static void give_back(void *opaque, const struct lb_chunk *chunk)
{
    struct state *state = opaque;

    lb_bufring_give_back(&state->buffers, chunk->data, chunk->size);
}

static int poll_fd(const void *opaque)
{
    const struct state *state = opaque;

    return state->ring.ring_fd;
}

static const struct lb_backend_status *status(const void *opaque)
{
    const struct state *state = opaque;

    return &state->status;
}

/* What the kernel has accepted since the last wait is nobody's yet. */
static void close_unclaimed(struct state *state)
{
    struct io_uring_cqe *cqe;
    unsigned head;

    io_uring_for_each_cqe(&state->ring, head, cqe)
    {
        if (lb_request_kind(cqe) == LB_REQUEST_ACCEPT && cqe->res >= 0)
            close(cqe->res);
    }
}

static void close_uring(void *opaque)
{
    struct state *state = opaque;

    close_unclaimed(state);
    io_uring_queue_exit(&state->ring);
    lb_bufring_close(&state->buffers);
    lb_uring_watches_done(&state->watches);
    free(state->accepts);
    free(state);
}

static int open_uring(void **result, const struct lb_backend_config *config, struct lb_error *error)
{
    struct state *state = calloc(1, sizeof(*state));
    int rc;

    if (!state)
        return lb_error_set(error, -ENOMEM, "out of memory");
    state->config = *config;
    lb_waiting_init(&state->waiting);
    state->modes = lb_uring_choose(config->whole_slots);
    if (config->unrestricted)
        state->modes.restricted = false;
    rc = lb_uring_create(&state->ring, SUBMISSIONS, COMPLETIONS, config->own_loop, error);
    if (rc < 0) {
        free(state);
        return rc;
    }
    state->accepts = calloc(config->listener_count + 1, sizeof(*state->accepts));
    rc = state->accepts ? lb_bufring_open(&state->buffers, &state->ring, config->pool,
                                          state->modes.incremental)
                        : -ENOMEM;
    if (rc == 0 && state->modes.restricted)
        rc = lb_uring_restrict(&state->ring);
    if (rc < 0) {
        close_uring(state);
        return lb_error_set(error, rc, "no ring of %u slots for io_uring: %s",
                            config->pool->working, strerror(-rc));
    }
    *result = state;
    return 0;
}

/* The kernel goes round the ring, so the working set is all of it: what fits the L2 cache. A
 * receive that takes a whole slot, however small it is, wants many. */
static struct lb_pool_shape shape(bool whole_slots)
{
    size_t slot_size = lb_uring_choose(whole_slots).incremental ? 256 << 10
                       : whole_slots                            ? 128 << 10
                                                                : 16 << 10;

    return (struct lb_pool_shape){slot_size, (unsigned)(lb_cpu_cache_size() / slot_size)};
}

const struct lb_backend lb_backend_uring = {
    .name = "uring",
    .help = "io_uring, on Linux 6.1 and newer",
    .ring = true,
    .wakes_one = true,
    .accepts_ahead = ACCEPTS_MAX,
    .shape = shape,
    .probe = lb_uring_probe,
    .open = open_uring,
    .close = close_uring,
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
