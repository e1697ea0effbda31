/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "clock.h"
#include "cpu_cache.h"
#include "delivery.h"
#include "ending.h"
#include "engine.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BATCH = 256,         /* events per wait */
    ACCEPT_AHEAD = 8192, /* streams that may be parked beyond max_streams */
    RETRY_MS = 10        /* between tries of an end, when the backend can't tell the moment */
};

/* Out of descriptors or memory: accepting at once again would only burn CPU. */
#define ACCEPT_PAUSE_NS (100 * LB_NS_PER_MS)
#define ACCEPT_WARN_NS (10 * LB_NS_PER_S) /* said once in so long */

/* How often streams whose receipts are on their way are looked at. */
#define ANSWER_LOOK_NS (500 * LB_NS_PER_MS)

/* Slots beside the working set: what paused streams hold must not stop the others, and each holds
 * one at most. The pool is reserved, not touched, so those that are never needed cost nothing. */
static unsigned reserve_slots(const struct lb_engine *engine, const struct lb_worker *worker)
{
    bool may_pause = engine->sink->flags & LB_SINK_MAY_PAUSE;
    bool serial = engine->sink->flags & LB_SINK_SERIAL;

    if (!may_pause)
        return 0;
    return serial || worker->backend->one_stream_per_worker ? 1 : engine->gate.max_streams;
}

unsigned lb_worker_streams(const struct lb_engine *engine)
{
    return engine->backend->one_stream_per_worker ? 2 : engine->gate.max_streams + ACCEPT_AHEAD;
}

static int open_backend(struct lb_worker *worker, struct lb_error *error)
{
    const struct lb_backend_config config = {
        .listeners = worker->listener_fds,
        .listener_count = worker->listener_count,
        .wake_fd = worker->wake_fd,
        .max_streams = worker->streams.capacity,
        .pool = &worker->pool,
        .whole_slots = reserve_slots(worker->engine, worker) > 0,
        .unrestricted = worker->engine->config.unrestricted,
    };
    int rc = worker->backend->open(&worker->backend_state, &config, error);

    if (rc == 0)
        worker->status = worker->backend->status(worker->backend_state);
    return rc;
}

int lb_worker_init(struct lb_worker *worker, struct lb_engine *engine, int *listener_fds,
                   size_t listener_count, struct lb_error *error)
{
    const struct lb_config *config = &engine->config;
    int rc;

    memset(worker, 0, sizeof(*worker));
    worker->engine = engine;
    worker->backend = engine->backend;
    worker->listener_fds = listener_fds;
    worker->listener_count = listener_count;
    lb_gather_init(&worker->gather, engine->gather_max_ns, lb_cpu_cache_size());
    lb_pipe_init(&worker->splice);
    pthread_mutex_init(&worker->committed_lock, NULL);
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = worker->wake_fd < 0 ? -errno : 0;
    if (rc == 0)
        rc = lb_pool_init(&worker->pool, config->slot_size, config->slots,
                          reserve_slots(engine, worker));
    if (rc == 0)
        rc = lb_stream_table_init(&worker->streams, engine->sink->state_size,
                                  lb_worker_streams(engine));
    if (rc == 0) {
        worker->events = malloc(BATCH * sizeof(*worker->events));
        rc = worker->events ? 0 : -ENOMEM;
    }
    if (rc < 0)
        lb_error_set(error, rc, "no memory for %u slots of %zu bytes and %u streams: %s",
                     config->slots, config->slot_size, engine->gate.max_streams, strerror(-rc));
    else
        rc = open_backend(worker, error);
    if (rc < 0)
        lb_worker_done(worker);
    return rc;
}

static void close_backend(struct lb_worker *worker)
{
    if (worker->backend_state)
        worker->backend->close(worker->backend_state);
    worker->backend_state = NULL;
}

/* Accepted ahead of a limit, and the limit never let them in. */
static void close_parked(struct lb_worker *worker)
{
    for (struct lb_stream *stream = worker->parked_first; stream; stream = stream->queued)
        close(stream->conn.fd);
    worker->parked_first = NULL;
}

void lb_worker_done(struct lb_worker *worker)
{
    close_backend(worker);
    close_parked(worker);
    lb_stream_table_done(&worker->streams);
    lb_pool_done(&worker->pool);
    lb_pipe_done(&worker->splice);
    free(worker->events);
    free(worker->listener_fds);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    pthread_mutex_destroy(&worker->committed_lock);
    worker->wake_fd = -1;
}

/* ---- streams come ---------------------------------------------------------------------------- */

static struct lb_stream *add_stream(struct lb_worker *worker, int fd)
{
    struct lb_stream *stream = lb_stream_table_add(&worker->streams);

    if (!stream)
        return NULL;
    stream->conn.fd = fd;
    stream->worker = worker;
    stream->state = LB_STREAM_PARKED;
    lb_peer_get(&stream->peer, fd);
    stream->conn.is_unix = stream->peer.family == AF_UNIX;
    return stream;
}

static void park(struct lb_worker *worker, struct lb_stream *stream)
{
    if (worker->parked_first)
        worker->parked_last->queued = stream;
    else
        worker->parked_first = stream;
    worker->parked_last = stream;
}

/* A stream that has its number counts as accepted. */
static void number(struct lb_worker *worker, struct lb_stream *stream)
{
    stream->id = atomic_fetch_add(&worker->engine->last_id, 1) + 1;
    lb_count(&worker->counters.accepted, 1);
}

static void accepted(struct lb_worker *worker, int fd)
{
    struct lb_stream *stream = add_stream(worker, fd);
    const char *why;

    if (!stream) {
        lb_receipt_refuse(worker->engine, fd, LB_END_LIMIT, "max-streams");
        close(fd);
        lb_engine_note(worker->engine, LB_NOTE_WARNING,
                       "a peer was turned away: %u streams are waiting already",
                       worker->streams.capacity);
        return;
    }
    why = lb_admission_enter(&worker->engine->admission, &stream->peer);
    if (why) {
        number(worker, stream);
        lb_ending_refuse(stream, why);
    } else {
        park(worker, stream);
    }
}

static bool has_place(const struct lb_worker *worker)
{
    return !worker->backend->one_stream_per_worker || worker->open_streams == 0;
}

/* Asks for a wake-up when a stream ends anywhere; then the caller has to look once more, since one
 * may have ended in between. */
static void await_room(struct lb_worker *worker)
{
    atomic_store(&worker->hungry, true);
}

static bool claim(struct lb_worker *worker)
{
    struct lb_gate *gate = &worker->engine->gate;

    if (lb_gate_claim(gate))
        return true;
    await_room(worker);
    return lb_gate_claim(gate);
}

/* Limits of time are looked at while there are streams. */
static void begin_pace(struct lb_worker *worker, struct lb_stream *stream)
{
    stream->pace.begun_ns = lb_clock_ns();
    if (worker->open_streams == 0)
        worker->swept_ns = stream->pace.begun_ns;
}

static void begin_parked(struct lb_worker *worker)
{
    while (worker->parked_first && !worker->stopped_now && has_place(worker) && claim(worker)) {
        struct lb_stream *stream = worker->parked_first;

        worker->parked_first = stream->queued;
        number(worker, stream);
        if (worker->engine->limits.period_ns)
            begin_pace(worker, stream);
        worker->open_streams++;
        lb_delivery_begin(stream);
    }
}

static unsigned accept_limit(struct lb_worker *worker)
{
    struct lb_engine *engine = worker->engine;
    unsigned room;

    if (worker->drain_until_ns || worker->parked_first || worker->accept_again_ns ||
        !has_place(worker))
        return 0;
    room = lb_gate_room(&engine->gate);
    if (room == 0) {
        await_room(worker);
        room = lb_gate_room(&engine->gate);
    }
    return worker->backend->one_stream_per_worker && room > 1 ? 1 : room;
}

/* Every worker meets the same trouble, and between two pauses some accepts may work. */
static void accept_failed(struct lb_worker *worker, int error)
{
    struct lb_engine *engine = worker->engine;
    uint64_t now = lb_clock_ns(), warned = atomic_load(&engine->accept_warned_ns);

    worker->accept_again_ns = now + ACCEPT_PAUSE_NS;
    if ((warned && now - warned < ACCEPT_WARN_NS) ||
        !atomic_compare_exchange_strong(&engine->accept_warned_ns, &warned, now))
        return;
    lb_engine_note(worker->engine, LB_NOTE_WARNING,
                   "accepting pauses: %s; peers wait in the backlog (raise the limit: ulimit -n)",
                   strerror(-error));
}

/* ---- streams go ------------------------------------------------------------------------------ */

static void stop_streams(struct lb_worker *worker)
{
    struct lb_stream *next;

    worker->stopped_now = true;
    for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
        next = stream->next;
        lb_delivery_stop(stream, LB_END_STOPPED, 0);
    }
}

/* A peer that comes to a socket which our heirs accept from, too, may have woken us alone, and too
 * late: they would hear of it only from the next one. What waits there is still ours, then. */
static void take_backlog(struct lb_worker *worker)
{
    const struct lb_listener_list *list = &worker->engine->listeners;
    int fd;

    if (!worker->backend->wakes_one)
        return;
    for (unsigned i = 0; i < ACCEPT_AHEAD && (fd = lb_listener_take(list)) >= 0; i++)
        accepted(worker, fd);
}

/* New peers are refused at once instead of waiting for nobody, as soon as no worker can accept. */
static void leave_door(struct lb_worker *worker)
{
    if (worker->left_door)
        return;
    worker->left_door = true;
    if (lb_engine_left_door(worker->engine) && worker->drain_until_ns && !worker->stopped_now)
        take_backlog(worker);
}

static void look_at_stop(struct lb_worker *worker)
{
    struct lb_engine *engine = worker->engine;
    int stop = atomic_load(&engine->stop);

    if (stop == LB_RUNNING || worker->stopped_now)
        return;
    if (!worker->drain_until_ns)
        worker->drain_until_ns = lb_clock_ns() + engine->drain_ns;
    if (stop == LB_STOP_NOW || lb_clock_ns() >= worker->drain_until_ns)
        stop_streams(worker);
    if (!worker->status->accepting)
        leave_door(worker);
}

static void sweep(struct lb_worker *worker)
{
    const struct lb_limits *limits = &worker->engine->limits;
    uint64_t now, elapsed;
    struct lb_stream *next;

    if (limits->period_ns == 0 || worker->open_streams == 0)
        return;
    now = lb_clock_ns();
    elapsed = now - worker->swept_ns;
    if (elapsed < limits->period_ns)
        return;
    worker->swept_ns = now;
    for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
        next = stream->next;
        lb_delivery_sweep(stream, elapsed, now);
    }
}

static void take_committed(struct lb_worker *worker)
{
    struct lb_stream *stream, *next;

    pthread_mutex_lock(&worker->committed_lock);
    stream = worker->committed;
    worker->committed = NULL;
    pthread_mutex_unlock(&worker->committed_lock);
    for (; stream; stream = next) {
        next = stream->queued;
        lb_ending_committed(stream);
    }
}

void lb_worker_committed(struct lb_worker *worker, struct lb_stream *stream)
{
    pthread_mutex_lock(&worker->committed_lock);
    stream->queued = worker->committed;
    worker->committed = stream;
    /* Under the lock: once the worker has seen the last stream it may end, and close the
     * descriptor. */
    lb_worker_wake(worker);
    pthread_mutex_unlock(&worker->committed_lock);
}

void lb_worker_wake(const struct lb_worker *worker)
{
    const uint64_t one = 1;
    int saved = errno;

    /* EAGAIN would mean that it is awake many times over. */
    (void)!write(worker->wake_fd, &one, sizeof(one));
    errno = saved;
}

static void woken(struct lb_worker *worker)
{
    uint64_t count;

    (void)!read(worker->wake_fd, &count, sizeof(count));
    take_committed(worker);
}

/* The backend is broken: nothing more will come from it, so no cancel is waited for. */
static void give_up(struct lb_worker *worker, int error)
{
    struct lb_stream *next;

    lb_engine_note(worker->engine, LB_NOTE_WARNING, "the %s backend failed: %s",
                   worker->backend->name, strerror(-error));
    lb_engine_stop_now(worker->engine);
    for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
        next = stream->next;
        stream->conn.receiving = false;
        if (stream->state == LB_STREAM_RECEIVING || stream->state == LB_STREAM_CANCELLED)
            lb_delivery_terminal(stream, error);
        else
            lb_delivery_stop(stream, LB_END_ERROR, error);
    }
}

/* After that: what the committer has comes back by the wake descriptor, and ends that wait for a
 * descriptor, which nobody watches any more, are tried from time to time. */
static void await_ends(struct lb_worker *worker)
{
    while (worker->open_streams > 0) {
        struct pollfd poller = {.fd = worker->wake_fd, .events = POLLIN};
        struct lb_stream *next;

        poll(&poller, 1, RETRY_MS);
        woken(worker);
        for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
            next = stream->next;
            lb_delivery_ready(stream);
        }
    }
}

void lb_worker_await_answers(struct lb_worker *worker)
{
    if (!worker->look_at_answers_ns)
        worker->look_at_answers_ns = lb_clock_ns() + ANSWER_LOOK_NS;
}

/* Peers that take no receipt, and those that go on after an error: their time may be up. */
static void look_at_answers(struct lb_worker *worker)
{
    struct lb_stream *next;

    if (!worker->look_at_answers_ns || lb_clock_ns() < worker->look_at_answers_ns)
        return;
    worker->look_at_answers_ns = 0;
    for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
        next = stream->next;
        if (stream->state != LB_STREAM_ANSWERING)
            continue;
        lb_worker_await_answers(worker);
        lb_delivery_ready(stream);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void take_chunk(struct lb_worker *worker, struct lb_stream *stream,
                       const struct lb_chunk *chunk)
{
    lb_acks_received(&stream->acks, stream->conn.fd, chunk->size, worker->gather.small);
    lb_delivery_chunk(stream, chunk);
}

static void handle(struct lb_worker *worker, const struct lb_event *event)
{
    switch (event->type) {
    case LB_EVENT_ACCEPTED:
        accepted(worker, event->fd);
        break;
    case LB_EVENT_ACCEPT_FAILED:
        accept_failed(worker, event->error);
        break;
    case LB_EVENT_DATA:
        take_chunk(worker, (struct lb_stream *)(void *)event->conn, &event->chunk);
        break;
    case LB_EVENT_READABLE:
        lb_delivery_readable((struct lb_stream *)(void *)event->conn);
        break;
    case LB_EVENT_EOF:
        lb_delivery_terminal((struct lb_stream *)(void *)event->conn, 0);
        break;
    case LB_EVENT_ERROR:
        lb_delivery_terminal((struct lb_stream *)(void *)event->conn, event->error);
        break;
    case LB_EVENT_READY:
        lb_delivery_ready(event->cookie);
        break;
    case LB_EVENT_WAKE:
        woken(worker);
        break;
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the loop must run again even if nothing happens; negative: never. */
static int64_t next_timeout_ns(struct lb_worker *worker)
{
    uint64_t now, when = UINT64_MAX;

    if (worker->accept_again_ns)
        when = worker->accept_again_ns;
    if (worker->drain_until_ns && !worker->stopped_now)
        when = earlier(when, worker->drain_until_ns);
    if (worker->throttle.first)
        when = earlier(when, worker->throttle.look_ns);
    if (worker->engine->limits.period_ns && worker->open_streams > 0)
        when = earlier(when, worker->swept_ns + worker->engine->limits.period_ns);
    if (worker->look_at_answers_ns)
        when = earlier(when, worker->look_at_answers_ns);
    if (when == UINT64_MAX)
        return -1;
    now = lb_clock_ns();
    return when > now ? (int64_t)(when - now) : 0;
}

/* Once a window is over, decides how long the next turns gather. The clocks are read at its ends
 * only: the thread's own costs a system call. */
static void look_at_load(struct lb_worker *worker)
{
    const struct lb_counters *counters = &worker->counters;
    struct lb_gather_window now = {.wall_ns = lb_clock_ns()}, past;

    now.polls = worker->status->polls;
    if (!lb_gather_is_over(&worker->gather, now.wall_ns - worker->window.wall_ns,
                           now.polls - worker->window.polls))
        return;
    now.cpu_ns = lb_clock_read(CLOCK_THREAD_CPUTIME_ID);
    now.receives = atomic_load_explicit(&counters->receives, memory_order_relaxed);
    now.bytes = atomic_load_explicit(&counters->bytes, memory_order_relaxed);
    past = (struct lb_gather_window){
        .wall_ns = now.wall_ns - worker->window.wall_ns,
        .cpu_ns = now.cpu_ns - worker->window.cpu_ns,
        .polls = now.polls - worker->window.polls,
        .receives = now.receives - worker->window.receives,
        .bytes = now.bytes - worker->window.bytes,
        .streams = worker->open_streams,
    };
    lb_gather_decide(&worker->gather, &past);
    worker->window = now;
}

static int turn(struct lb_worker *worker)
{
    uint64_t polls = worker->status->polls;
    struct lb_turn request;
    int count;

    if (worker->accept_again_ns && lb_clock_ns() >= worker->accept_again_ns)
        worker->accept_again_ns = 0;
    request.accept_limit = accept_limit(worker);
    request.timeout_ns = next_timeout_ns(worker);
    request.gather_ns = worker->gather.ns;
    count = worker->backend->wait(worker->backend_state, worker->events, BATCH, &request);
    lb_count(&worker->counters.waits, 1);
    for (int i = 0; i < count; i++)
        handle(worker, &worker->events[i]);
    atomic_store_explicit(&worker->counters.starved, worker->status->starved, memory_order_relaxed);
    /* At the same point of each round of waiting and handling, so that windows hold whole ones. */
    if (worker->gather.max_ns && worker->status->polls != polls)
        look_at_load(worker);
    sweep(worker);
    lb_throttle_look(worker);
    look_at_answers(worker);
    look_at_stop(worker);
    begin_parked(worker);
    lb_stream_table_reuse(&worker->streams);
    return count;
}

static bool is_done(const struct lb_worker *worker)
{
    if (worker->open_streams > 0)
        return false;
    if (lb_gate_finished(&worker->engine->gate) || worker->stopped_now)
        return true;
    /* Draining: what the kernel has accepted for us is still to be served. */
    return worker->drain_until_ns && !worker->parked_first && !worker->status->accepting;
}

void lb_worker_run(struct lb_worker *worker)
{
    int rc = 0;

    while (rc >= 0 && !is_done(worker))
        rc = turn(worker);
    if (rc < 0) {
        give_up(worker, rc);
        await_ends(worker);
    }
    close_backend(worker);
    close_parked(worker); /* nobody comes for them, and their peers should know */
    leave_door(worker);
}

int lb_worker_adopt(struct lb_worker *worker, int fd)
{
    struct lb_stream *stream = add_stream(worker, fd);

    if (!stream)
        return -EMFILE;
    stream->borrowed = true;
    park(worker, stream);
    begin_parked(worker);
    return 0;
}
