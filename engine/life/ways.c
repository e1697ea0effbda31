/* SPDX-License-Identifier: MIT */
#include "ways.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A digest needs the bytes, and so do filters. A caller's connection may have other readers, and
 * then a splice could wait for more. */
static bool allows_splice(const struct lb_stream *stream)
{
    const struct lb_rules *rules = stream->lane->rules;

    return rules->sink->target && !rules->no_splice && !stream->borrowed &&
           !lb_stream_receipt(stream) && !rules->filtered;
}

bool lb_way_is_begun(const struct lb_stream *stream, struct lb_verdict *verdict)
{
    char byte;
    ssize_t got;

    do {
        got = recv(stream->conn.fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    *verdict = lb_verdict_of_receive(got < 0 ? -errno : 0);
    return got > 0;
}

bool lb_way_begin(struct lb_stream *stream, struct lb_verdict *verdict)
{
    const struct lb_rules *rules = stream->lane->rules;
    struct lb_flow *flow = &stream->flow;
    int placed = rules->filtered ? 0 : lb_session_has_place(stream, verdict);

    if (placed > 0)
        flow->way = LB_WAY_PLACED;
    else
        flow->may_splice = allows_splice(stream);
    /* So that a paused stream holds one at most, and that none is under way when it splices, or has
     * had as many bytes as its rate allows. */
    flow->once = rules->sink->flags & LB_SINK_MAY_PAUSE || flow->may_splice ||
                 flow->way == LB_WAY_PLACED || rules->throttle;
    return placed >= 0;
}

/* A stream of large pieces is worth splicing. */
static void choose_way(struct lb_stream *stream, size_t piece)
{
    struct lb_lane *lane = stream->lane;
    struct lb_flow *flow = &stream->flow;
    size_t slot_size = lane->pool.slot_size;

    if (!flow->may_splice || piece < (slot_size < LB_PIPE_LEAST ? slot_size : LB_PIPE_LEAST))
        return;
    flow->target = lb_session_target(stream);
    if (flow->target >= 0)
        flow->way = lb_pipe_prepare(&lane->pipe, flow->target);
    flow->may_splice = flow->way != LB_WAY_CHUNKS;
}

static ssize_t feed(struct lb_stream *stream, const uint8_t *data, size_t size,
                    struct lb_verdict *verdict)
{
    return stream->lane->rules->filtered ? lb_filters_feed(stream, data, size, verdict)
                                         : lb_session_write(stream, data, size, verdict);
}

enum lb_step lb_way_chunk(struct lb_stream *stream, struct lb_verdict *verdict)
{
    struct lb_flow *flow = &stream->flow;
    size_t size = flow->held.size, rest = size - flow->taken;
    ssize_t taken = feed(stream, flow->held.data + flow->taken, rest, verdict);

    if (taken < 0)
        return LB_STEP_OVER;
    flow->taken += (size_t)taken;
    if ((size_t)taken < rest)
        return LB_STEP_PAUSE;
    lb_stream_give_back(stream, &flow->held);
    if (flow->kept.data)
        return LB_STEP_PAUSE;
    choose_way(stream, size);
    return LB_STEP_ON;
}

/* The sink wants it in memory of its own. */
static ssize_t place_first(struct lb_stream *stream, const struct lb_first *first,
                           struct lb_verdict *verdict)
{
    size_t rest = first->size - first->taken;
    void *data = NULL;
    ssize_t room = lb_session_place(stream, &data, verdict), taken;

    if (room <= 0)
        return room;
    if ((size_t)room < rest)
        rest = (size_t)room;
    memcpy(data, first->data + first->taken, rest);
    taken = lb_session_write(stream, data, rest, verdict);
    if (taken < 0 || (size_t)taken == rest)
        return taken;
    *verdict = lb_verdict_of_sink(-EPROTO);
    return -1;
}

enum lb_step lb_way_first(struct lb_stream *stream, struct lb_verdict *verdict)
{
    struct lb_flow *flow = &stream->flow;
    struct lb_first *first = flow->first;

    lb_count(&stream->lane->counters.receives, first->taken == 0);
    while (first->taken < first->size) {
        ssize_t taken = flow->way == LB_WAY_PLACED ? place_first(stream, first, verdict)
                                                   : feed(stream, first->data + first->taken,
                                                          first->size - first->taken, verdict);

        if (taken < 0)
            return LB_STEP_OVER;
        if (taken == 0)
            return LB_STEP_PAUSE;
        first->taken += (size_t)taken;
    }
    free(first);
    flow->first = NULL;
    return flow->kept.data ? LB_STEP_PAUSE : LB_STEP_ON;
}

/* ---- by descriptor --------------------------------------------------------------------------- */

/* How large a piece may be that could be so large. */
static size_t largest_piece(const struct lb_stream *stream, size_t most)
{
    const struct lb_lane *lane = stream->lane;
    uint64_t room = lb_session_room(stream);

    if (lane->rules->throttle && most > lane->pool.slot_size)
        most = lane->pool.slot_size;
    return room < most ? (size_t)room : most;
}

/* What the target didn't take goes through the sink's write, which finds out why. Returns false
 * with the verdict if that ends the stream. */
static bool feed_waiting(struct lb_stream *stream, struct lb_verdict *verdict)
{
    struct lb_pipe *pipe = &stream->lane->pipe;
    uint8_t buffer[16 * 1024];

    while (pipe->waiting > 0) {
        ssize_t size = lb_pipe_take(pipe, buffer, sizeof(buffer)), taken = -1;

        if (size < 0)
            *verdict = (struct lb_verdict){.end = LB_END_ERROR, .error = (int)size};
        else
            taken = lb_session_write(stream, buffer, (size_t)size, verdict);
        /* A target that only may pause is a pipe, and into that no bytes come this way. */
        if (size >= 0 && taken >= 0 && taken < size)
            *verdict = lb_verdict_of_sink(-EPROTO);
        if (size < 0 || taken < size) {
            lb_pipe_done(pipe);
            return false;
        }
    }
    return true;
}

enum lb_step lb_way_splice(struct lb_stream *stream, size_t *size, struct lb_verdict *verdict)
{
    struct lb_lane *lane = stream->lane;
    struct lb_flow *flow = &stream->flow;
    size_t most = largest_piece(stream, LB_PIPE_MOST);
    ssize_t moved = 0;

    if (most > 0)
        moved = lb_pipe_move(&lane->pipe, stream->conn.fd, flow->target, flow->way, most);
    *size = lane->pipe.waiting + (moved > 0 ? (size_t)moved : 0);
    lb_count(&lane->counters.receives, *size > 0);
    if (moved > 0)
        lb_session_spliced(stream, (size_t)moved);
    if (moved == -ENOBUFS && lb_stream_watch(stream, flow->target, POLLOUT) == 0) {
        stream->session.meter.pace.held = true;
        return LB_STEP_PAUSE;
    }
    if (moved < 0 && moved != -EAGAIN && moved != -ENOBUFS) {
        *verdict = lb_verdict_of_receive((int)moved);
        return LB_STEP_OVER;
    }
    /* 0: perhaps its EOF, perhaps urgent data, or its last byte that a limit allows. A receive
     * tells. */
    if (moved == 0 || moved == -ENOBUFS || lane->pipe.waiting > 0)
        flow->may_splice = false;
    if (!feed_waiting(stream, verdict))
        return LB_STEP_OVER;
    if (!flow->may_splice || (moved > 0 && moved < LB_PIPE_LEAST))
        flow->way = LB_WAY_CHUNKS;
    return LB_STEP_ON;
}

enum lb_step lb_way_place(struct lb_stream *stream, size_t *size, struct lb_verdict *verdict)
{
    void *data = NULL;
    ssize_t room = lb_session_place(stream, &data, verdict), got;
    size_t most;

    *size = 0;
    if (room <= 0)
        return room < 0 ? LB_STEP_OVER : LB_STEP_PAUSE;
    most = largest_piece(stream, (size_t)room);
    if (most == 0) {
        /* Its EOF, or one byte too many: nothing that the sink will get. */
        stream->flow.way = LB_WAY_CHUNKS;
        return LB_STEP_ON;
    }
    got = recv(stream->conn.fd, data, most, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return LB_STEP_ON;
    if (got <= 0) {
        *verdict = lb_verdict_of_receive(got < 0 ? -errno : 0);
        return LB_STEP_OVER;
    }
    lb_count(&stream->lane->counters.receives, 1);
    *size = (size_t)got;
    got = lb_session_write(stream, data, *size, verdict);
    if (got >= 0 && (size_t)got < *size)
        *verdict = lb_verdict_of_sink(-EPROTO); /* it had place for them, so write takes them */
    return got == (ssize_t)*size ? LB_STEP_ON : LB_STEP_OVER;
}

void lb_way_release(struct lb_stream *stream)
{
    struct lb_flow *flow = &stream->flow;

    if (flow->held.data)
        lb_stream_give_back(stream, &flow->held);
    else if (flow->way == LB_WAY_TO_PIPE && stream->state == LB_STREAM_PAUSED)
        lb_stream_watch(stream, flow->target, 0);
    lb_filters_drop(stream);
}
