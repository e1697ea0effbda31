/* SPDX-License-Identifier: MIT */
#include "ending.h"

#include "clock.h"
#include "end.h"
#include "engine.h"
#include "probes.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void tell_end(const struct lb_stream *stream)
{
    struct lb_engine *engine = stream->worker->engine;
    enum lb_note_level level = stream->end == LB_END_EOF ? LB_NOTE_DETAIL : LB_NOTE_WARNING;
    const char *why = stream->error ? strerror(-stream->error) : stream->why;
    char peer[LB_PEER_SIZE];

    if (!lb_engine_notes(engine, level))
        return;
    lb_engine_note(engine, level, "stream %llu from %s: %s after %llu bytes%s%s%s",
                   (unsigned long long)stream->id, lb_stream_peer(stream, peer),
                   lb_end_name(stream->end), (unsigned long long)stream->bytes, why ? " (" : "",
                   why ? why : "", why ? ")" : "");
}

/* A crowd at the door must not be able to fill a log. */
static void tell_refusal(const struct lb_stream *stream)
{
    struct lb_engine *engine = stream->worker->engine;
    char peer[LB_PEER_SIZE], more[80] = "";
    uint64_t untold;

    if (!lb_engine_notes(engine, LB_NOTE_WARNING) ||
        !lb_admission_tells(&engine->admission, lb_clock_ns(), &untold))
        return;
    if (untold)
        snprintf(more, sizeof(more), ", and %llu more since the last such line",
                 (unsigned long long)untold);
    lb_engine_note(engine, LB_NOTE_WARNING, "stream %llu from %s: limit: turned away (%s)%s",
                   (unsigned long long)stream->id, lb_stream_peer(stream, peer), stream->why, more);
}

/* A stream that isn't complete must not look so to its sender: without this, a close after
 * everything was read sends a FIN, and the sender sees a server that took it all. What the sink
 * has answered is let through first: a reset would discard what the peer hasn't acknowledged. */
static void reset_peer(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    int unsent = 0;

    if (ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* The one place where a stream's life ends. */
static void close_stream(struct lb_stream *stream)
{
    struct lb_worker *worker = stream->worker;
    bool refused = stream->state == LB_STREAM_PARKED;

    assert(!stream->conn.receiving);
    lb_receipt_close(stream);
    if (stream->end != LB_END_EOF && !stream->receipt.given && !stream->borrowed)
        reset_peer(stream->conn.fd);
    worker->backend->forget(worker->backend_state, &stream->conn);
    close(stream->conn.fd);
    lb_count(&worker->counters.ends[stream->end], 1);
    lb_stream_table_retire(&worker->streams, stream);
    if (refused) {
        lb_count(&worker->counters.refused, 1);
        return;
    }
    lb_count(&worker->counters.partial, stream->end != LB_END_EOF);
    lb_admission_leave(&worker->engine->admission, &stream->peer);
    worker->open_streams--;
    lb_gate_release(&worker->engine->gate);
    lb_engine_stream_ended(worker->engine);
}

/* The sink is done with the stream: its end is decided for good, and the peer is told. */
static void conclude(struct lb_stream *stream, int end_result)
{
    if (end_result < 0 && stream->end == LB_END_EOF) {
        stream->end = LB_END_SINK;
        stream->error = end_result;
    }
    LB_PROBE_END(stream->id, stream->bytes, stream->end);
    tell_end(stream);
    stream->state = LB_STREAM_ANSWERING;
    if (lb_receipt_give(stream, !stream->worker->stopped_now))
        close_stream(stream);
    else
        lb_worker_await_answers(stream->worker);
}

void lb_ending_answer(struct lb_stream *stream)
{
    if (lb_receipt_go_on(stream))
        close_stream(stream);
}

void lb_ending_refuse(struct lb_stream *stream, const char *why)
{
    struct lb_engine *engine = stream->worker->engine;

    stream->end = LB_END_LIMIT;
    stream->why = why;
    LB_PROBE_END(stream->id, stream->bytes, stream->end);
    tell_refusal(stream);
    lb_receipt_refuse(engine, stream->conn.fd, stream->end, why);
    stream->receipt.given = lb_receipt_wanted(engine);
    close_stream(stream);
}

static int call_end(struct lb_stream *stream)
{
    const struct lb_sink *sink = lb_stream_sink(stream);

    return sink->end ? sink->end(stream, lb_stream_context(stream), stream->end) : 0;
}

void lb_ending_try(struct lb_stream *stream)
{
    int rc = call_end(stream);

    if (rc == LB_UNSETTLED)
        rc = lb_ending_settle(&stream, 1);
    stream->state = LB_STREAM_ENDING;
    if (rc != -EINPROGRESS)
        conclude(stream, rc);
}

void lb_ending_begin(struct lb_stream *stream, enum lb_end end, int error)
{
    struct lb_committer *committer = &stream->worker->engine->committer;

    assert(!stream->conn.receiving);
    stream->end = end;
    stream->error = error;
    if ((lb_stream_sink(stream)->flags & LB_SINK_SLOW_END) && committer->running) {
        stream->state = LB_STREAM_COMMITTING;
        lb_committer_submit(committer, stream);
    } else {
        lb_ending_try(stream);
    }
}

int lb_ending_commit(struct lb_stream *stream)
{
    return call_end(stream);
}

int lb_ending_settle(struct lb_stream *const *streams, size_t count)
{
    return lb_stream_sink(streams[0])->settle(streams, count, lb_stream_context(streams[0]));
}

void lb_ending_committed(struct lb_stream *stream)
{
    assert(stream->state == LB_STREAM_COMMITTING);
    conclude(stream, stream->end_result);
}

void lb_ending_unopened(struct lb_stream *stream, enum lb_end end, int error)
{
    stream->end = end;
    stream->error = error;
    conclude(stream, error);
}
