/* SPDX-License-Identifier: MIT */
#include "delivery.h"

#include "end.h"
#include "ending.h"
#include "engine.h"
#include "probes.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between the sink's open and its end. */
static bool is_under_way(const struct lb_stream *stream)
{
    return stream->state == LB_STREAM_RECEIVING || stream->state == LB_STREAM_THROTTLED ||
           stream->state == LB_STREAM_PAUSED;
}

static void give_back(struct lb_stream *stream, const struct lb_chunk *chunk)
{
    stream->worker->backend->give_back(stream->worker->backend_state, chunk);
}

static void receive(struct lb_stream *stream)
{
    const struct lb_worker *worker = stream->worker;

    stream->state = LB_STREAM_RECEIVING;
    if (stream->way == LB_WAY_CHUNKS)
        worker->backend->receive(worker->backend_state, &stream->conn, stream->once);
    else
        worker->backend->await(worker->backend_state, &stream->conn);
}

/* The stream has had a piece of so many bytes: on to the next, now or when its rate allows. */
static void go_on(struct lb_stream *stream, size_t bytes)
{
    if (lb_throttle_pass(stream, bytes))
        receive(stream);
    else
        stream->state = LB_STREAM_THROTTLED;
}

void lb_delivery_resume(struct lb_stream *stream)
{
    stream->pace.held = true;
    receive(stream);
}

/* The sink has taken bytes of a piece. */
static void count_taken(struct lb_stream *stream, size_t taken, size_t size)
{
    LB_PROBE_CHUNK(stream->id, taken, size);
    stream->bytes += taken;
    lb_count(&stream->worker->counters.bytes, taken);
}

/* Offers bytes to the sink's write. Returns how many it took; the stream is stopped if it failed. */
static ssize_t offer(struct lb_stream *stream, const uint8_t *data, size_t size)
{
    ssize_t taken = lb_stream_sink(stream)->write(stream, lb_stream_context(stream), data, size);

    if (taken < 0) {
        lb_delivery_stop(stream, LB_END_SINK, (int)taken);
        return taken;
    }
    assert((size_t)taken <= size);
    count_taken(stream, (size_t)taken, size);
    if (lb_stream_receipt(stream)) {
        int rc = lb_receipt_add(stream, data, (size_t)taken);

        if (rc < 0) {
            lb_delivery_stop(stream, LB_END_ERROR, rc);
            return rc;
        }
    }
    return taken;
}

static bool has_place(struct lb_stream *stream)
{
    const struct lb_sink *sink = lb_stream_sink(stream);
    void *data;

    return sink->place && sink->place(stream, lb_stream_context(stream), &data) != -EOPNOTSUPP;
}

/* A digest needs the bytes. A caller's connection may have other readers, and then a splice could
 * wait for more. */
static bool allows_splice(const struct lb_stream *stream)
{
    return lb_stream_sink(stream)->target && !stream->worker->engine->config.no_splice &&
           !stream->borrowed && !lb_stream_receipt(stream);
}

/* A stream of large pieces is worth splicing. */
static void choose_way(struct lb_stream *stream, size_t piece)
{
    struct lb_worker *worker = stream->worker;
    size_t slot_size = worker->pool.slot_size;
    size_t least = slot_size < LB_PIPE_LEAST ? slot_size : LB_PIPE_LEAST;

    if (!stream->may_splice || piece < least)
        return;
    stream->target = lb_stream_sink(stream)->target(stream, lb_stream_context(stream));
    if (stream->target >= 0)
        stream->way = lb_pipe_prepare(&worker->splice, stream->target);
    stream->may_splice = stream->way != LB_WAY_CHUNKS;
}

/* Offers the held chunk's rest to the sink. */
static void feed(struct lb_stream *stream)
{
    struct lb_chunk chunk = stream->held;
    size_t rest = chunk.size - stream->taken;
    uint64_t room = lb_limits_room(&stream->worker->engine->limits, stream->bytes);
    size_t size = rest < room ? rest : (size_t)room;
    ssize_t taken = 0;

    if (size > 0)
        taken = offer(stream, chunk.data + stream->taken, size);
    if (taken < 0)
        return;
    if ((size_t)taken < size) {
        assert(lb_stream_sink(stream)->flags & LB_SINK_MAY_PAUSE);
        stream->taken += (size_t)taken;
        stream->pace.held = true;
        return;
    }
    if (size < rest) {
        lb_delivery_break(stream, &lb_breach_max_bytes);
        return;
    }
    stream->state = LB_STREAM_RECEIVING;
    stream->held.data = NULL;
    give_back(stream, &chunk);
    choose_way(stream, chunk.size);
    if (stream->once)
        go_on(stream, chunk.size);
}

/* What the target didn't take goes through the sink's write, which finds out why. Returns false if
 * the stream is stopped. */
static bool feed_waiting(struct lb_stream *stream)
{
    struct lb_pipe *splice = &stream->worker->splice;
    uint8_t buffer[16 * 1024];

    while (splice->waiting > 0) {
        ssize_t size = lb_pipe_take(splice, buffer, sizeof(buffer));
        ssize_t taken = size < 0 ? size : offer(stream, buffer, (size_t)size);

        if (size < 0)
            lb_delivery_stop(stream, LB_END_ERROR, (int)size);
        if (taken < 0) {
            lb_pipe_done(splice);
            return false;
        }
        assert(taken == size); /* a regular file never pauses */
    }
    return true;
}

/* How large a piece may be that could be so large. */
static size_t largest_piece(const struct lb_stream *stream, size_t most)
{
    const struct lb_worker *worker = stream->worker;
    uint64_t room = lb_limits_room(&worker->engine->limits, stream->bytes);

    if (lb_throttle_limits_any(&worker->engine->throttle) && most > worker->pool.slot_size)
        most = worker->pool.slot_size;
    return room < most ? (size_t)room : most;
}

/* Splices one piece. PAUSED, and stays so while the target is full. */
static void splice_piece(struct lb_stream *stream)
{
    struct lb_worker *worker = stream->worker;
    size_t most = largest_piece(stream, LB_PIPE_MOST);
    ssize_t moved = 0;

    if (most > 0)
        moved = lb_pipe_move(&worker->splice, stream->conn.fd, stream->target, stream->way, most);
    if (moved > 0) {
        lb_count(&worker->counters.receives, 1);
        count_taken(stream, (size_t)moved, (size_t)moved);
    }
    if (moved == -ENOBUFS && lb_stream_watch(stream, stream->target, POLLOUT) == 0) {
        stream->pace.held = true;
        return;
    }
    if (moved < 0 && moved != -EAGAIN && moved != -ENOBUFS) {
        lb_ending_begin(stream, lb_end_of_error((int)moved), (int)moved);
        return;
    }
    /* 0: perhaps its EOF, perhaps its last byte that a limit allows. A receive tells. */
    if (moved == 0 || moved == -ENOBUFS || worker->splice.waiting > 0)
        stream->may_splice = false;
    if (!feed_waiting(stream))
        return;
    if (!stream->may_splice || (moved > 0 && moved < LB_PIPE_LEAST))
        stream->way = LB_WAY_CHUNKS;
    go_on(stream, moved > 0 ? (size_t)moved : 0);
}

/* Receives one piece into the sink's memory. PAUSED, and stays so while it has no room. */
static void receive_placed(struct lb_stream *stream)
{
    void *data = NULL;
    ssize_t room = lb_stream_sink(stream)->place(stream, lb_stream_context(stream), &data), size;

    if (room < 0) {
        lb_delivery_stop(stream, LB_END_SINK, (int)room);
        return;
    }
    stream->pace.held |= room == 0;
    if (room == 0)
        return;
    room = (ssize_t)largest_piece(stream, (size_t)room);
    if (room == 0) {
        /* Its EOF, or one byte too many: nothing that the sink will get. */
        stream->way = LB_WAY_CHUNKS;
        receive(stream);
        return;
    }
    size = recv(stream->conn.fd, data, (size_t)room, MSG_DONTWAIT);
    if (size > 0) {
        lb_count(&stream->worker->counters.receives, 1);
        size = offer(stream, data, (size_t)size);
        if (size >= 0)
            go_on(stream, (size_t)size);
    } else if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        receive(stream);
    } else {
        int error = size < 0 ? -errno : 0;

        lb_ending_begin(stream, error ? lb_end_of_error(error) : LB_END_EOF, error);
    }
}

void lb_delivery_readable(struct lb_stream *stream)
{
    if (stream->state == LB_STREAM_CANCELLED) {
        lb_ending_begin(stream, stream->end, stream->error);
        return;
    }
    assert(stream->state == LB_STREAM_RECEIVING);
    stream->state = LB_STREAM_PAUSED;
    if (stream->way == LB_WAY_PLACED)
        receive_placed(stream);
    else
        splice_piece(stream);
}

void lb_delivery_begin(struct lb_stream *stream)
{
    const struct lb_config *config = &stream->worker->engine->config;
    const struct lb_sink *sink = lb_stream_sink(stream);
    int rc = 0;

    LB_PROBE_ACCEPT(stream->id, stream->conn.fd);
    stream->state = LB_STREAM_RECEIVING;
    /* A fresh socket has room for it; a peer that is gone shows when it is received from. */
    if (config->greeting_size) {
        (void)!send(stream->conn.fd, config->greeting, config->greeting_size,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
        lb_receipt_follow(stream, config->greeting, config->greeting_size);
    }
    rc = lb_receipt_open(stream);
    if (rc < 0) {
        lb_ending_unopened(stream, LB_END_ERROR, rc);
        return;
    }
    if (sink->open)
        rc = sink->open(stream, lb_stream_context(stream));
    if (rc < 0) {
        lb_ending_unopened(stream, LB_END_SINK, rc);
        return;
    }
    if (has_place(stream))
        stream->way = LB_WAY_PLACED;
    else
        stream->may_splice = allows_splice(stream);
    /* So that a paused stream holds one at most, and that none is under way when it splices, or has
     * had as many bytes as its rate allows. */
    stream->once = sink->flags & LB_SINK_MAY_PAUSE || stream->may_splice ||
                   stream->way == LB_WAY_PLACED ||
                   lb_throttle_limits_any(&stream->worker->engine->throttle);
    go_on(stream, 0);
}

void lb_delivery_chunk(struct lb_stream *stream, const struct lb_chunk *chunk)
{
    if (stream->state == LB_STREAM_CANCELLED) {
        give_back(stream, chunk);
        if (stream->once)
            lb_ending_begin(stream, stream->end, stream->error);
        return;
    }
    assert(stream->state == LB_STREAM_RECEIVING);
    lb_count(&stream->worker->counters.receives, 1);
    stream->state = LB_STREAM_PAUSED;
    stream->held = *chunk;
    stream->taken = 0;
    feed(stream);
}

void lb_delivery_terminal(struct lb_stream *stream, int error)
{
    assert(stream->state == LB_STREAM_RECEIVING || stream->state == LB_STREAM_CANCELLED);
    if (stream->state == LB_STREAM_CANCELLED)
        lb_ending_begin(stream, stream->end, stream->error);
    else if (error == 0)
        lb_ending_begin(stream, LB_END_EOF, 0);
    else
        lb_ending_begin(stream, lb_end_of_error(error), error);
}

void lb_delivery_ready(struct lb_stream *stream)
{
    const struct lb_sink *sink = lb_stream_sink(stream);
    bool open = is_under_way(stream) || stream->state == LB_STREAM_ENDING;
    int rc;

    if (stream->state == LB_STREAM_ANSWERING)
        lb_ending_answer(stream);
    if (!open)
        return;
    rc = sink->ready ? sink->ready(stream, lb_stream_context(stream)) : 0;
    if (rc < 0 && stream->state == LB_STREAM_ENDING && stream->end == LB_END_EOF) {
        stream->end = LB_END_SINK;
        stream->error = rc;
    } else if (rc < 0 && stream->state != LB_STREAM_ENDING) {
        lb_delivery_stop(stream, LB_END_SINK, rc);
        return;
    }
    if (stream->state == LB_STREAM_PAUSED && stream->held.data)
        feed(stream);
    else if (stream->state == LB_STREAM_PAUSED)
        receive(stream); /* there is room again */
    else if (stream->state == LB_STREAM_ENDING)
        lb_ending_try(stream);
}

void lb_delivery_stop(struct lb_stream *stream, enum lb_end end, int error)
{
    switch (stream->state) {
    case LB_STREAM_PAUSED:
        if (stream->held.data)
            give_back(stream, &stream->held);
        else if (stream->way == LB_WAY_TO_PIPE)
            lb_stream_watch(stream, stream->target, 0);
        if (stream->once) {
            lb_ending_begin(stream, end, error);
            break;
        }
        __attribute__((fallthrough));
    case LB_STREAM_RECEIVING:
        /* The last event may be in the worker's batch already: it comes all the same, so wait. */
        stream->state = LB_STREAM_CANCELLED;
        stream->end = end;
        stream->error = error;
        stream->worker->backend->cancel(stream->worker->backend_state, &stream->conn);
        break;
    case LB_STREAM_THROTTLED:
        lb_throttle_leave(stream);
        lb_ending_begin(stream, end, error);
        break;
    case LB_STREAM_ENDING:
        if (stream->end == LB_END_EOF)
            stream->end = end;
        lb_ending_try(stream);
        break;
    case LB_STREAM_ANSWERING:
        stream->receipt.until_ns = 0;
        lb_ending_answer(stream);
        break;
    case LB_STREAM_FREE:
    case LB_STREAM_PARKED:
    case LB_STREAM_CANCELLED:
    case LB_STREAM_COMMITTING:
        break;
    }
}

void lb_delivery_break(struct lb_stream *stream, const struct lb_breach *breach)
{
    if (!is_under_way(stream))
        return;
    stream->why = breach->why;
    lb_delivery_stop(stream, breach->end, 0);
}

void lb_delivery_sweep(struct lb_stream *stream, uint64_t elapsed_ns, uint64_t now_ns)
{
    const struct lb_limits *limits = &stream->worker->engine->limits;
    const struct lb_breach *breach;

    if (!is_under_way(stream))
        return;
    stream->pace.held |= stream->state != LB_STREAM_RECEIVING;
    breach = lb_limits_judge(limits, &stream->pace, stream->bytes, elapsed_ns, now_ns);
    /* It is held up still. */
    stream->pace.held = stream->state != LB_STREAM_RECEIVING;
    if (breach)
        lb_delivery_break(stream, breach);
}

int lb_stream_watch(struct lb_stream *stream, int fd, unsigned events)
{
    struct stat status;

    /* Backends differ in what they say of these. */
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
        return -EPERM;
    return stream->worker->backend->watch(stream->worker->backend_state, fd, events, stream);
}
