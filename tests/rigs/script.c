/* SPDX-License-Identifier: MIT */
#include "script.h"

#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the book -------------------------------------------------------------------------------- */

void script_log(struct script *script, const char *format, ...)
{
    va_list arguments;
    size_t length;

    pthread_mutex_lock(&script->lock);
    length = strlen(script->log);
    va_start(arguments, format);
    vsnprintf(script->log + length, sizeof(script->log) - length, format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&script->lock);
}

void script_violate(struct script *script, const char *format, ...)
{
    va_list arguments;

    pthread_mutex_lock(&script->lock);
    va_start(arguments, format);
    if (!script->violation[0])
        vsnprintf(script->violation, sizeof(script->violation), format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&script->lock);
}

static void note(void *context, enum lb_note_level level, const char *text)
{
    struct script *script = context;
    size_t length = strlen(script->notes);

    snprintf(script->notes + length, sizeof(script->notes) - length, "%s: %s\n",
             level == LB_NOTE_WARNING ? "warning" : "detail", text);
}

unsigned script_find(const struct script *script, int fd)
{
    unsigned number = script->stream_count;

    /* The newest: an older one with that number has been closed. */
    while (number > 0 &&
           (script->streams[number - 1].fd != fd || script->streams[number - 1].forgotten))
        number--;
    return number;
}

static struct script_stream *find_conn(struct script *script, const struct lb_conn *conn,
                                       const char *call)
{
    unsigned number = script_find(script, conn->fd);
    struct script_stream *stream;

    if (number == 0) {
        script_violate(script, "%s of a conn that was never accepted, or is forgotten", call);
        return NULL;
    }
    stream = &script->streams[number - 1];
    if (stream->conn && stream->conn != conn)
        script_violate(script, "%s%u: its conn has moved", call, number);
    if (!stream->conn)
        stream->conn = (struct lb_conn *)(uintptr_t)conn;
    script_log(script, "%s%u ", call, number);
    return stream;
}

uint8_t script_byte(unsigned stream, uint64_t offset)
{
    return (uint8_t)(stream * 101 + offset * 7 + offset / 251);
}

/* ---- events ---------------------------------------------------------------------------------- */

struct lb_event script_accept(struct script *script)
{
    struct script_stream *stream = &script->streams[script->stream_count];
    int pair[2] = {-1, -1};

    if (script->stream_count == SCRIPT_STREAMS)
        abort();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        script_violate(script, "socketpair: %s", strerror(errno));
    *stream = (struct script_stream){.fd = pair[0], .peer = pair[1], .watched = -1};
    script->stream_count++;
    return (struct lb_event){.type = LB_EVENT_ACCEPTED, .fd = pair[0]};
}

bool script_has_slot(const struct script *script)
{
    return script->worker.lane.pool.free_count > 0 && script->chunk_count < SCRIPT_CHUNKS;
}

size_t script_unread(const struct script *script, unsigned number)
{
    int unread = 0;

    return ioctl(script->streams[number - 1].fd, FIONREAD, &unread) == 0 ? (size_t)unread : 0;
}

static void make_up_bytes(struct script_stream *stream, unsigned number, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = script_byte(number, stream->sent + i);
    stream->sent += size;
}

static void receive_bytes(const struct script_stream *stream, uint8_t *data, size_t size)
{
    if (recv(stream->fd, data, size, MSG_DONTWAIT | MSG_WAITALL) != (ssize_t)size)
        abort();
}

struct lb_event script_data(struct script *script, unsigned number, size_t size)
{
    struct script_stream *stream = &script->streams[number - 1];
    struct lb_pool *pool = &script->worker.lane.pool;
    struct lb_event event = {.type = LB_EVENT_DATA, .conn = stream->conn};
    size_t unread = script_unread(script, number);
    unsigned slot = 0;

    if (!stream->receiving || !script_has_slot(script) || !lb_pool_take(pool, &slot))
        abort(); /* the script itself is wrong */
    if (unread > 0 && unread < size)
        size = unread;
    event.chunk = (struct lb_chunk){lb_pool_data(pool, slot), size};
    lb_pool_lend(pool, event.chunk.data, size);
    if (unread > 0)
        receive_bytes(stream, event.chunk.data, size);
    else
        make_up_bytes(stream, number, event.chunk.data, size);
    script->chunks[script->chunk_count++] = (struct script_chunk){event.chunk, number};
    if (stream->once) {
        stream->receiving = false;
        stream->conn->receiving = false;
    }
    return event;
}

struct lb_event script_readable(struct script *script, unsigned number)
{
    struct script_stream *stream = &script->streams[number - 1];

    if (!stream->receiving)
        abort();
    stream->receiving = false;
    stream->conn->receiving = false;
    return (struct lb_event){.type = LB_EVENT_READABLE, .conn = stream->conn};
}

struct lb_event script_terminal(struct script *script, unsigned number, int error)
{
    struct script_stream *stream = &script->streams[number - 1];

    if (!stream->receiving || stream->terminal)
        abort();
    stream->receiving = false;
    stream->terminal = true;
    stream->conn->receiving = false;
    return (struct lb_event){
        .type = error ? LB_EVENT_ERROR : LB_EVENT_EOF,
        .error = error,
        .conn = stream->conn,
    };
}

bool script_await_wake(const struct script *script, int timeout_ms)
{
    struct pollfd poller = {.fd = script->worker.lane.inbox.wake_fd, .events = POLLIN};

    return poll(&poller, 1, timeout_ms) == 1;
}

/* ---- the backend ----------------------------------------------------------------------------- */

static struct lb_pool_shape shape(bool whole_slots)
{
    (void)whole_slots;
    return (struct lb_pool_shape){.slot_size = SCRIPT_SLOT_SIZE, .slots = SCRIPT_SLOTS};
}

static int probe(struct lb_probe *result, struct lb_error *error)
{
    (void)result;
    (void)error;
    return 0;
}

static int open_script(void **state, const struct lb_backend_config *config, struct lb_error *error)
{
    (void)error;
    /* The lane's pool is in the script. */
    *state = (uint8_t *)config->pool - offsetof(struct script, worker.lane.pool);
    return 0;
}

static void close_script(void *state)
{
    struct script *script = state;

    for (unsigned i = 0; i < script->stream_count; i++)
        if (script->streams[i].receiving && !script->broken)
            script_violate(script, "closed while stream %u is received from", i + 1);
    if (script->closed)
        script_violate(script, "closed twice");
    script->closed = true;
}

static void begin(void *state, struct lb_conn *conn, bool once, const char *call)
{
    struct script_stream *stream = find_conn(state, conn, call);

    if (!stream)
        return;
    if (stream->receiving || conn->receiving)
        script_violate(state, "received from twice at a time: %s", call);
    if (stream->handled)
        script_violate(state, "received from after its terminal event");
    if (stream->cancelled)
        script_violate(state, "received from after a cancel");
    stream->receiving = true;
    stream->once = once;
    stream->awaiting = strcmp(call, "await") == 0;
    conn->receiving = true;
}

static void receive(void *state, struct lb_conn *conn, bool once)
{
    begin(state, conn, once, "receive");
}

static void await_readable(void *state, struct lb_conn *conn)
{
    begin(state, conn, true, "await");
}

static void cancel(void *state, struct lb_conn *conn)
{
    struct script_stream *stream = find_conn(state, conn, "cancel");

    if (!stream)
        return;
    if (stream->handled)
        script_violate(state, "cancelled after its terminal event");
    if (stream->cancelled)
        script_violate(state, "cancelled twice");
    stream->cancelled = true;
}

static void forget(void *state, struct lb_conn *conn)
{
    struct script_stream *stream = find_conn(state, conn, "forget");
    const struct script *script = state;

    if (!stream)
        return;
    if (stream->receiving && !script->broken)
        script_violate(state, "forgotten while it is received from");
    if (fcntl(stream->fd, F_GETFD) < 0)
        script_violate(state, "forgotten after it was closed");
    stream->forgotten = true;
}

static int watch(void *state, int fd, unsigned events, void *cookie)
{
    struct script *script = state;
    const struct lb_stream *owner = cookie;
    unsigned number = script_find(script, owner->conn.fd);

    script_log(script, "%s%u ", events ? "watch" : "unwatch", number);
    if (number == 0) {
        script_violate(script, "a stream that is gone watches");
        return 0;
    }
    script->streams[number - 1].watches++;
    script->streams[number - 1].cookie = cookie;
    script->streams[number - 1].watched = events ? fd : -1;
    return 0;
}

static int wait_script(void *state, struct lb_event *events, unsigned max,
                       const struct lb_turn *turn)
{
    struct script *script = state;
    int rc;

    /* Whatever the last wait told has been handled. */
    for (unsigned i = 0; i < script->stream_count; i++)
        script->streams[i].handled = script->streams[i].terminal;
    if (max < LB_EVENTS_MIN)
        script_violate(script, "place for %u events only", max);
    if (script->broken || script->closed)
        script_violate(script, "waited for after it broke or was closed");
    script->waits++;
    rc = script->play(script, events, max, turn);
    script->broken = rc < 0;
    return rc;
}

static void give_back(void *state, const struct lb_chunk *chunk)
{
    struct script *script = state;
    unsigned i = 0;

    while (i < script->chunk_count && script->chunks[i].chunk.data != chunk->data)
        i++;
    if (i == script->chunk_count) {
        script_violate(script, "given back what was not lent");
        return;
    }
    script_log(script, "back%u ", script->chunks[i].stream);
    if (script->chunks[i].chunk.size != chunk->size)
        script_violate(script, "a part of a chunk was given back");
    script->chunks[i] = script->chunks[--script->chunk_count];
    lb_pool_regain(&script->worker.lane.pool, chunk->data, chunk->size);
    lb_pool_put(&script->worker.lane.pool, lb_pool_slot(&script->worker.lane.pool, chunk->data));
}

static const struct lb_backend_status *status(const void *state)
{
    const struct script *script = state;

    return &script->status;
}

#define SCRIPT_BACKEND(single)                                                                     \
    {                                                                                              \
        .name = "script", .one_stream_per_worker = (single), .workers = 1, .shape = shape,         \
        .probe = probe, .open = open_script, .close = close_script, .receive = receive,            \
        .await = await_readable, .cancel = cancel, .forget = forget, .watch = watch,               \
        .wait = wait_script, .give_back = give_back, .status = status,                             \
    }

static const struct lb_backend many_streams = SCRIPT_BACKEND(false);
static const struct lb_backend one_stream = SCRIPT_BACKEND(true);

/* ---- the engine ------------------------------------------------------------------------------ */

static int make_rules(struct script *script, const struct script_options *options)
{
    struct lb_rules *rules = &script->rules;

    lb_throttle_limits_init(&script->throttle, options->rate, options->total_rate);
    *rules = (struct lb_rules){
        .sink = options->sink,
        .sink_context = options->context,
        .backend = options->one_stream_per_worker ? &one_stream : &many_streams,
        .pool = shape(false),
        .greeting = options->greeting,
        .greeting_size = options->greeting ? strlen(options->greeting) : 0,
        .limits = options->limits,
        .throttle = options->rate || options->total_rate ? &script->throttle : NULL,
        .max_streams = options->max_streams,
        .drain_ns = options->drain_ms * UINT64_C(1000000),
        .handshake_ns = options->handshake_ms * UINT64_C(1000000),
    };
    for (size_t i = 0; i < 2 && options->filters[i]; i++) {
        struct lb_filter_use *use = &rules->filters[rules->filter_count++];

        use->filter = options->filters[i];
        if (options->config && use->filter->settle(options->config, &use->settings, NULL) < 0)
            return -EINVAL;
    }
    lb_rules_lay_out(rules);
    return options->receipts ? lb_digest_choose(&rules->receipt, NULL) : 0;
}

int script_init(struct script *script, const struct script_options *options)
{
    const struct lb_worker_shares shares = {&script->rules, &script->door, &script->tells};
    int rc;

    memset(script, 0, sizeof(*script));
    pthread_mutex_init(&script->lock, NULL);
    lb_notes_init(&script->tells);
    script->tells.tell = note;
    script->tells.context = script;
    script->tells.level = LB_NOTE_DETAIL;
    script->door.gate.max_streams = options->max_streams;
    script->door.gate.count = options->count;
    script->door.gate.max_entering = options->max_handshakes;
    rc = make_rules(script, options);
    if (rc == 0)
        rc = lb_door_init(&script->door, 2);
    if (rc == 0)
        rc = lb_worker_init(&script->worker, &shares, NULL, 0, NULL);
    if (rc == 0)
        rc = lb_worker_begin(&script->worker);
    if (rc == 0 && options->committer)
        rc = lb_committer_start(&script->committer, options->sink);
    if (rc == 0 && options->committer)
        script->worker.lane.committer = &script->committer;
    return rc;
}

static void end_worker(struct script *script)
{
    lb_committer_stop(&script->committer);
    lb_worker_done(&script->worker);
    lb_digest_release(&script->rules.receipt);
    lb_door_done(&script->door);
    script->done = true;
}

void script_done(struct script *script)
{
    if (!script->done)
        end_worker(script);
    for (unsigned i = 0; i < script->stream_count; i++)
        close(script->streams[i].peer);
    lb_filters_release(&script->rules);
    lb_notes_done(&script->tells);
    pthread_mutex_destroy(&script->lock);
}

/* Whatever became of it, no accepted stream is left open. */
static void check_streams(struct script *script, uint64_t accepted)
{
    uint64_t forgotten = 0;

    for (unsigned i = 0; i < script->stream_count; i++) {
        struct pollfd poller = {.fd = script->streams[i].peer};

        forgotten += script->streams[i].forgotten;
        if (poll(&poller, 1, 0) != 1 || !(poller.revents & POLLHUP))
            script_violate(script, "stream %u was never closed", i + 1);
    }
    /* With filters, those too who never came to be streams. */
    if (script->rules.filter_count ? forgotten < accepted : forgotten != accepted)
        script_violate(script, "%llu streams of %llu were forgotten", (unsigned long long)forgotten,
                       (unsigned long long)accepted);
}

static void check_counters(struct script *script, const struct lb_stats *stats)
{
    const struct lb_worker *worker = &script->worker;
    uint64_t refused = stats->refused - stats->failed_preludes; /* of the streams that ended */

    if (stats->streams != stats->accepted)
        script_violate(script, "%llu streams began and %llu ended",
                       (unsigned long long)stats->accepted, (unsigned long long)stats->streams);
    /* Those who were turned away never came to the gate. */
    if (script->door.gate.ended != stats->streams - refused)
        script_violate(script, "the gate counted %llu ends of %llu",
                       (unsigned long long)script->door.gate.ended,
                       (unsigned long long)(stats->streams - refused));
    if (stats->waits != script->waits)
        script_violate(script, "waits were miscounted");
    if (worker->lane.under_way + worker->lane.entering > 0 ||
        script->door.gate.active + script->door.gate.entering > 0)
        script_violate(script, "streams are left open");
}

void script_check(struct script *script)
{
    const struct lb_pool *pool = &script->worker.lane.pool;

    script->stats = (struct lb_stats){LB_STATS_INIT};
    lb_counters_add(&script->stats, &script->worker.lane.counters);
    if (script->chunk_count > 0)
        script_violate(script, "%u chunks never came back", script->chunk_count);
    if (pool->free_count != pool->count)
        script_violate(script, "slots are missing");
    if (!script->closed)
        script_violate(script, "the backend was never closed");
    check_counters(script, &script->stats);
    end_worker(script);
    check_streams(script, script->stats.accepted);
}
