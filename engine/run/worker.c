/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "clock.h"
#include "cpu_cache.h"
#include "door.h"
#include "letters.h"
#include "life.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH = 256,  /* events per wait */
    RETRY_MS = 10 /* between tries of an end, when the backend can't tell the moment */
};

/* ---- open ------------------------------------------------------------------------------------ */

unsigned lb_worker_streams(const struct lb_rules *rules)
{
    return rules->max_streams + LB_ACCEPT_AHEAD;
}

static int open_lane(struct lb_worker *worker, const struct lb_worker_shares *shares,
                     size_t listener_count, struct lb_error *error)
{
    const struct lb_lane_options options = {
        .rules = shares->rules,
        .listeners = worker->listener_fds,
        .listener_count = listener_count,
        .streams = worker->streams.capacity,
    };
    int rc = lb_lane_open(&worker->lane, &options, error);

    if (rc < 0)
        return rc;
    worker->lane.notes = shares->notes;
    worker->lane.door = shares->door;
    worker->lane.streams = &worker->streams;
    worker->lane.index = shares->door->lane_count;
    lb_door_add(shares->door, &worker->lane.inbox);
    lb_entrance_init(&worker->entrance, &worker->lane);
    return 0;
}

int lb_worker_init(struct lb_worker *worker, const struct lb_worker_shares *shares,
                   int *listener_fds, size_t listener_count, struct lb_error *error)
{
    const struct lb_rules *rules = shares->rules;
    int rc;

    memset(worker, 0, sizeof(*worker));
    worker->listener_fds = listener_fds;
    worker->most_ns = -1;
    lb_gather_init(&worker->gather, rules->gather_max_ns, lb_cpu_cache_size(), rules->saving);
    rc = lb_stream_table_init(&worker->streams, rules->stream_size, lb_worker_streams(rules));
    worker->events = malloc(BATCH * sizeof(*worker->events));
    if (rc == 0 && !worker->events)
        rc = -ENOMEM;
    if (rc < 0)
        lb_error_set(error, rc, "no memory for %u streams: %s", rules->max_streams, strerror(-rc));
    else
        rc = open_lane(worker, shares, listener_count, error);
    if (rc < 0) {
        lb_stream_table_done(&worker->streams);
        free(worker->events);
        free(worker->listener_fds);
    }
    return rc;
}

void lb_worker_done(struct lb_worker *worker)
{
    lb_letters_drop(&worker->lane.inbox);
    lb_entrance_close(&worker->entrance);
    lb_lane_close(&worker->lane);
    lb_stream_table_done(&worker->streams);
    free(worker->events);
    free(worker->listener_fds);
}

/* ---- letters and alarms ---------------------------------------------------------------------- */

static void take_letters(struct lb_worker *worker)
{
    lb_letters_open(&worker->entrance, lb_inbox_take(&worker->lane.inbox));
}

static void stop_streams(struct lb_worker *worker)
{
    static const struct lb_verdict stopped = {.end = LB_END_STOPPED};
    struct lb_stream *next;

    worker->lane.hurry = true;
    lb_alarm_set(&worker->lane.alarms, &worker->patience, LB_NEVER);
    for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
        next = stream->next;
        lb_life_stop(stream, &stopped);
    }
}

static void ring(struct lb_worker *worker, struct lb_alarm *alarm, uint64_t now_ns)
{
    struct lb_lane *lane = &worker->lane;

    if (alarm == &lane->throttle_alarm)
        lb_life_unthrottle(lane, now_ns);
    else if (alarm == &worker->patience)
        stop_streams(worker);
    else if (alarm != &worker->entrance.again) /* which only had to be over */
        lb_life_alarm(LB_STREAM_OF(alarm, alarm), now_ns);
}

/* Returns how many rang. */
static int ring_alarms(struct lb_worker *worker)
{
    struct lb_alarms *alarms = &worker->lane.alarms;
    struct lb_alarm *alarm;
    uint64_t now_ns;
    int rang = 0;

    if (!alarms->root)
        return 0;
    now_ns = lb_clock_ns();
    for (; (alarm = lb_alarms_take_due(alarms, now_ns)); rang++)
        ring(worker, alarm, now_ns);
    return rang;
}

/* When the loop must run again even if nothing happens; negative: never. */
static int64_t next_timeout_ns(const struct lb_worker *worker)
{
    uint64_t when_ns = lb_alarms_next_ns(&worker->lane.alarms), now_ns;
    int64_t left_ns;

    if (when_ns == LB_NEVER)
        return worker->most_ns;
    now_ns = lb_clock_ns();
    left_ns = when_ns > now_ns ? (int64_t)(when_ns - now_ns) : 0;
    return worker->most_ns >= 0 && worker->most_ns < left_ns ? worker->most_ns : left_ns;
}

/* ---- stops ----------------------------------------------------------------------------------- */

static void begin_drain(struct lb_worker *worker)
{
    worker->draining = true;
    lb_alarm_set(&worker->lane.alarms, &worker->patience,
                 lb_clock_ns() + worker->lane.rules->drain_ns);
}

static void look_at_stop(struct lb_worker *worker)
{
    struct lb_lane *lane = &worker->lane;
    int stop = atomic_load(&lane->door->stop);

    if (stop == LB_RUNNING)
        return;
    if (!worker->draining)
        begin_drain(worker);
    if (!lane->hurry && (stop == LB_STOP_NOW || lane->rules->drain_ns == 0))
        stop_streams(worker);
    if (!lane->status->accepting && (lane->hurry || lb_entrance_drain(&worker->entrance)))
        lb_entrance_leave(&worker->entrance, !lane->hurry);
}

/* The backend is broken: nothing more will come from it, so no cancel is waited for. */
static void give_up(struct lb_worker *worker, int error)
{
    struct lb_lane *lane = &worker->lane;
    struct lb_stream *next;

    lb_note(lane->notes, LB_NOTE_WARNING, "the %s backend failed: %s", lane->backend->name,
            strerror(-error));
    lb_door_stop_now(lane->door);
    for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
        next = stream->next;
        lb_life_abandon(stream, error);
    }
}

/* After that: what the committer has comes back by the wake descriptor, and ends that wait for a
 * descriptor, which nobody watches any more, are tried from time to time. */
static void await_ends(struct lb_worker *worker)
{
    struct lb_lane *lane = &worker->lane;

    while (lane->under_way > 0) {
        struct pollfd poller = {.fd = lane->inbox.wake_fd, .events = POLLIN};
        struct lb_stream *next;

        poll(&poller, 1, RETRY_MS);
        take_letters(worker);
        for (struct lb_stream *stream = worker->streams.live; stream; stream = next) {
            next = stream->next;
            lb_life_wake(stream);
        }
        ring_alarms(worker);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static struct lb_stream *stream_of(struct lb_conn *conn)
{
    return LB_STREAM_OF(conn, conn);
}

static void take_chunk(struct lb_worker *worker, struct lb_stream *stream,
                       const struct lb_chunk *chunk)
{
    lb_acks_received(&stream->acks, stream->conn.fd, chunk->size, worker->gather.small);
    lb_life_chunk(stream, chunk);
}

static void handle(struct lb_worker *worker, const struct lb_event *event)
{
    switch (event->type) {
    case LB_EVENT_ACCEPTED:
        lb_entrance_accepted(
            &worker->entrance,
            &(struct lb_arrival){.fd = event->fd, .listener = (int)event->listener});
        break;
    case LB_EVENT_ACCEPT_FAILED:
        lb_entrance_pause(&worker->entrance, event->error);
        break;
    case LB_EVENT_DATA:
        take_chunk(worker, stream_of(event->conn), &event->chunk);
        break;
    case LB_EVENT_READABLE:
        lb_life_readable(stream_of(event->conn));
        break;
    case LB_EVENT_EOF:
        lb_life_terminal(stream_of(event->conn), 0);
        break;
    case LB_EVENT_ERROR:
        lb_life_terminal(stream_of(event->conn), event->error);
        break;
    case LB_EVENT_READY:
        if (event->cookie == &worker->stops)
            lb_door_stop_now(worker->lane.door);
        else
            lb_life_ready(event->cookie);
        break;
    case LB_EVENT_WAKE:
        take_letters(worker);
        break;
    }
}

/* Once a window is over, decides how long the next turns gather. The clocks are read at its ends
 * only: the thread's own costs a system call. */
static void look_at_load(struct lb_worker *worker)
{
    struct lb_counters *counters = &worker->lane.counters;
    struct lb_gather_window now = {.wall_ns = lb_clock_ns()}, past;

    now.polls = worker->lane.status->polls;
    if (!lb_gather_is_over(&worker->gather, now.wall_ns - worker->window.wall_ns,
                           now.polls - worker->window.polls))
        return;
    now.cpu_ns = lb_clock_read(CLOCK_THREAD_CPUTIME_ID);
    now.receives = lb_count_read(&counters->receives);
    now.bytes = lb_count_read(&counters->bytes);
    now.begun = lb_count_read(&counters->accepted);
    past = (struct lb_gather_window){
        .wall_ns = now.wall_ns - worker->window.wall_ns,
        .cpu_ns = now.cpu_ns - worker->window.cpu_ns,
        .polls = now.polls - worker->window.polls,
        .receives = now.receives - worker->window.receives,
        .bytes = now.bytes - worker->window.bytes,
        .streams = worker->lane.under_way,
        .begun = now.begun - worker->window.begun,
    };
    lb_count_set(&counters->gather_ns, lb_gather_decide(&worker->gather, &past));
    worker->window = now;
}

/* Returns how many things have happened, or -errno: the backend is broken. */
static int turn(struct lb_worker *worker)
{
    struct lb_lane *lane = &worker->lane;
    uint64_t polls = lane->status->polls;
    struct lb_turn request;
    int count, rang;

    request.accept_limit = worker->draining ? 0 : lb_entrance_room(&worker->entrance);
    request.timeout_ns = next_timeout_ns(worker);
    request.gather_ns = worker->gather.ns;
    count = lane->backend->wait(lane->backend_state, worker->events, BATCH, &request);
    lb_count(&lane->counters.waits, 1);
    for (int i = 0; i < count; i++)
        handle(worker, &worker->events[i]);
    lb_count_set(&lane->counters.starved, lane->status->starved);
    lb_count_set(&lane->counters.slots_taken, lane->pool.count - lane->pool.free_count);
    /* At the same point of each round of waiting and handling, so that windows hold whole ones. */
    if (worker->gather.max_ns && lane->status->polls != polls)
        look_at_load(worker);
    rang = ring_alarms(worker);
    look_at_stop(worker);
    lb_entrance_go_on(&worker->entrance);
    lb_stream_table_reuse(&worker->streams);
    return count < 0 ? count : count + rang;
}

static bool is_done(const struct lb_worker *worker)
{
    const struct lb_lane *lane = &worker->lane;

    if (lane->under_way + lane->entering > 0)
        return false;
    if (lb_gate_finished(&lane->door->gate) || lane->hurry)
        return true;
    /* Draining: what the kernel has accepted for us is still to be served. */
    return worker->entrance.left && !lb_entrance_is_busy(&worker->entrance);
}

int lb_worker_begin(struct lb_worker *worker)
{
    int rc = lb_session_open_worker(&worker->lane);

    worker->begun = rc == 0;
    return rc;
}

/* What other lanes have handed over until now is served as the rest is. Returns true if there was
 * something; else nothing more is taken. */
static bool take_last_letters(struct lb_worker *worker)
{
    struct lb_letter *letters = lb_inbox_shut(&worker->lane.inbox);

    lb_letters_open(&worker->entrance, letters);
    lb_entrance_go_on(&worker->entrance);
    return letters;
}

/* It is over: rc < 0 if the backend is broken. */
static void finish(struct lb_worker *worker, int rc)
{
    if (rc < 0) {
        give_up(worker, rc);
        await_ends(worker);
    }
    lb_letters_drop(&worker->lane.inbox);
    if (worker->begun)
        lb_session_close_worker(&worker->lane);
    lb_entrance_close(&worker->entrance);
    lb_lane_close_backend(&worker->lane);
    lb_entrance_leave(&worker->entrance, false);
}

void lb_worker_run(struct lb_worker *worker)
{
    int rc = 0;

    while (worker->begun && rc >= 0 && (!is_done(worker) || take_last_letters(worker)))
        if (!is_done(worker))
            rc = turn(worker);
    finish(worker, rc);
}

/* So many at most before the program's loop has its turn. */
enum { ROUNDS = 16 };

/* A backend has nothing left to do when it has twice found nothing: what the first time has led to
 * is with the kernel by then. */
static int run_rounds(struct lb_worker *worker, int64_t timeout_ns)
{
    unsigned quiet = 0, rounds = 0;
    int rc = 0;

    worker->most_ns = timeout_ns;
    for (; rc >= 0 && quiet < 2 && rounds < ROUNDS && !is_done(worker); rounds++) {
        rc = turn(worker);
        quiet = rc == 0 ? quiet + 1 : 0;
        worker->most_ns = 0;
    }
    if (rounds == ROUNDS)
        lb_inbox_wake(&worker->lane.inbox);
    return rc;
}

bool lb_worker_turn(struct lb_worker *worker, int64_t timeout_ns)
{
    int rc = worker->begun ? run_rounds(worker, timeout_ns) : 0;

    if (worker->begun && rc >= 0 && (!is_done(worker) || take_last_letters(worker)))
        return true;
    finish(worker, rc);
    return false;
}
