/* SPDX-License-Identifier: MIT */
#include "session.h"

#include "clock.h"
#include "probes.h"
#include "seal.h"
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

enum { RECEIPT_ID_MAX = 255 };

static const char *name_of(const struct lb_sink *sink)
{
    return sink->name ? sink->name : "without a name";
}

/* A sink that breaks its contract is told of, and its stream is not safe. Returns what ends it. */
static int broken(const struct lb_stream *stream, const char *call, const char *what)
{
    lb_note(stream->lane->notes, LB_NOTE_WARNING,
            "stream %llu: the sink %s breaks its contract: %s %s", (unsigned long long)stream->id,
            name_of(stream->session.sink), call, what);
    return -EPROTO;
}

struct lb_verdict lb_session_failed(const struct lb_stream *stream, int error)
{
    if (stream->session.limit)
        return (struct lb_verdict){.end = LB_END_LIMIT, .why = stream->session.limit};
    if (stream->session.asked == LB_ASKED_REFUSE)
        return (struct lb_verdict){.end = LB_END_SINK, .error = error, .why = "refused"};
    return lb_verdict_of_sink(error);
}

/* From open on until its end is decided. */
static bool may_decide(const struct lb_stream *stream)
{
    return lb_stream_is_under_way(stream) || stream->state == LB_STREAM_PARKED;
}

bool lb_session_refuse(struct lb_stream *stream, const char *text)
{
    const char *sink = name_of(stream->session.sink);

    if (!may_decide(stream) && stream->state != LB_STREAM_ENDING)
        return false;
    stream->session.asked = LB_ASKED_REFUSE;
    lb_note(stream->lane->notes, LB_NOTE_WARNING, "stream %llu: refused by the sink %s%s%.*s",
            (unsigned long long)stream->id, sink, *text ? ": " : "", (int)strcspn(text, "\r\n"),
            text);
    return true;
}

bool lb_session_is_decided(const struct lb_stream *stream, struct lb_verdict *verdict)
{
    if (stream->session.asked == LB_ASKED_NOTHING)
        return false;
    if (stream->session.asked == LB_ASKED_FINISH)
        *verdict = (struct lb_verdict){.end = LB_END_EOF};
    else
        *verdict = lb_session_failed(stream, -ECONNREFUSED);
    return true;
}

bool lb_session_open(struct lb_stream *stream, struct lb_verdict *verdict)
{
    const struct lb_rules *rules = stream->lane->rules;
    struct lb_session *session = &stream->session;
    int rc = lb_meter_open(&session->meter, &rules->receipt);

    session->sink = rules->sink;
    session->context = rules->sink_context;
    if (rc < 0) {
        *verdict = (struct lb_verdict){.end = LB_END_ERROR, .error = rc};
        return false;
    }
    rc = session->sink->open ? session->sink->open(stream, session->context) : 0;
    if (rc > 0)
        rc = broken(stream, "open", "returns more than 0");
    if (rc < 0)
        *verdict = lb_session_failed(stream, rc);
    return rc == 0;
}

int lb_session_open_worker(struct lb_lane *lane)
{
    const struct lb_rules *rules = lane->rules;
    int rc = 0;

    if (rules->sink->worker_open)
        rc = rules->sink->worker_open(rules->sink_context, lane->index, &lane->worker_state);
    return rc > 0 ? -EPROTO : rc;
}

void lb_session_close_worker(struct lb_lane *lane)
{
    const struct lb_rules *rules = lane->rules;

    if (rules->sink->worker_close)
        rules->sink->worker_close(rules->sink_context, lane->worker_state);
}

void lb_session_close(struct lb_stream *stream)
{
    lb_meter_close(&stream->session.meter);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

uint64_t lb_session_room(const struct lb_stream *stream)
{
    return lb_limits_room(&stream->lane->rules->limits, stream->session.meter.bytes);
}

/* Checks what write returned. */
static ssize_t check_taken(const struct lb_stream *stream, ssize_t taken, size_t size)
{
    if (taken > (ssize_t)size)
        return broken(stream, "write", "takes more than it is given");
    if (taken >= 0 && taken < (ssize_t)size && !stream->session.asked &&
        !(stream->session.sink->flags & LB_SINK_MAY_PAUSE))
        return broken(stream, "write", "takes less than it is given, without LB_SINK_MAY_PAUSE");
    return taken;
}

static ssize_t offer(struct lb_stream *stream, const uint8_t *data, size_t size,
                     struct lb_verdict *verdict)
{
    struct lb_session *session = &stream->session;
    ssize_t taken = session->sink->write(stream, session->context, data, size);
    int rc;

    if (taken != (ssize_t)size)
        taken = check_taken(stream, taken, size);
    if (taken < 0) {
        *verdict = lb_session_failed(stream, (int)taken);
        return -1;
    }
    LB_PROBE_CHUNK(stream->id, (size_t)taken, size);
    lb_count(&stream->lane->counters.bytes, (uint64_t)taken);
    rc = lb_meter_add(&session->meter, data, (size_t)taken);
    if ((rc | (int)session->asked) == 0)
        return taken;
    if (!lb_session_is_decided(stream, verdict))
        *verdict = (struct lb_verdict){.end = LB_END_ERROR, .error = rc};
    return -1;
}

/* A client's first message. */
static bool begins_as_tls(const uint8_t *data)
{
    enum { HANDSHAKE = 22, VERSION = 3, CLIENT_HELLO = 1 };

    return data[0] == HANDSHAKE && data[1] == VERSION && data[5] == CLIENT_HELLO;
}

/* Whoever sends a seal means that it be checked, and whoever speaks TLS that it be understood. Each
 * is stored as it came, and said, once a second. */
static void look_at_begin(const struct lb_stream *stream, const uint8_t *data, size_t size)
{
    struct lb_lane *lane = stream->lane;
    bool tls = size >= LB_SEAL_FIRST_MAX && begins_as_tls(data);
    uint64_t untold;

    if (size < LB_SEAL_FIRST_MAX || lane->rules->filtered ||
        (!tls && !lb_seal_may_begin((const char *)data, size)) ||
        !lb_hush_tells(&lane->unchecked, lb_clock_ns(), LB_NS_PER_S, 1, &untold))
        return;
    lb_note(lane->notes, LB_NOTE_WARNING,
            tls ? "stream %llu begins as TLS does, but there is none here: stored as it came "
                  "(recv --tls)"
                : "stream %llu is sealed, but seals are not checked: stored as it came (--seal "
                  "checks)",
            (unsigned long long)stream->id);
}

ssize_t lb_session_write(struct lb_stream *stream, const uint8_t *data, size_t size,
                         struct lb_verdict *verdict)
{
    uint64_t room = lb_session_room(stream);
    size_t most = size < room ? size : (size_t)room;
    ssize_t taken;

    if (stream->session.meter.bytes == 0)
        look_at_begin(stream, data, size);
    taken = most > 0 ? offer(stream, data, most, verdict) : 0;
    stream->session.meter.pace.held |= taken >= 0 && (size_t)taken < most;
    if (taken != (ssize_t)most || most == size)
        return taken;
    *verdict = lb_limits_max_bytes;
    return -1;
}

void lb_session_spliced(struct lb_stream *stream, size_t size)
{
    LB_PROBE_CHUNK(stream->id, size, size);
    lb_count(&stream->lane->counters.bytes, size);
    lb_meter_count(&stream->session.meter, size);
}

int lb_session_target(struct lb_stream *stream)
{
    return stream->session.sink->target(stream, stream->session.context);
}

int lb_session_has_place(struct lb_stream *stream, struct lb_verdict *verdict)
{
    const struct lb_session *session = &stream->session;
    ssize_t room = -EOPNOTSUPP;
    void *data;

    if (session->sink->place)
        room = session->sink->place(stream, session->context, &data);
    if (room == -EOPNOTSUPP)
        return 0;
    if (room >= 0)
        return 1;
    *verdict = lb_session_failed(stream, (int)room);
    return -1;
}

ssize_t lb_session_place(struct lb_stream *stream, void **data, struct lb_verdict *verdict)
{
    struct lb_session *session = &stream->session;
    ssize_t room = session->sink->place(stream, session->context, data);

    if (room > 0)
        return room;
    session->meter.pace.held = true;
    if (room < 0)
        *verdict = lb_session_failed(stream, (int)room);
    else if (lb_session_is_decided(stream, verdict))
        return -1;
    return room;
}

bool lb_session_ready(struct lb_stream *stream, struct lb_verdict *verdict)
{
    const struct lb_session *session = &stream->session;
    int rc = session->sink->ready ? session->sink->ready(stream, session->context) : 0;

    if (rc > 0)
        rc = broken(stream, "ready", "returns more than 0");
    if (rc < 0)
        *verdict = lb_session_failed(stream, rc);
    return rc == 0 && !lb_session_is_decided(stream, verdict);
}

/* ---- who calls it again ---------------------------------------------------------------------- */

enum { DOUBT_NS = LB_NS_PER_S };

void lb_session_waits(struct lb_stream *stream)
{
    struct lb_session *session = &stream->session;
    const struct lb_lane *lane = stream->lane;
    bool certain = session->watches || session->alarm_ns || stream->wire.queued ||
                   session->sink->threads || lane->woken;

    session->doubt_ns = certain ? 0 : lb_clock_ns() + DOUBT_NS;
    lb_stream_arm(stream);
}

/* Once: it is the program that has to be mended. */
void lb_session_tell_doubt(struct lb_stream *stream)
{
    struct lb_session *session = &stream->session;

    session->doubt_ns = 0;
    if (stream->lane->woken)
        return;
    stream->lane->woken = true;
    lb_note(stream->lane->notes, LB_NOTE_WARNING,
            "stream %llu: the sink %s waits, watches no descriptor and has set no alarm: unless "
            "lb_engine_wake is called it waits for ever",
            (unsigned long long)stream->id, name_of(session->sink));
}

/* ---- the end --------------------------------------------------------------------------------- */

int lb_session_end(struct lb_stream *stream)
{
    const struct lb_session *session = &stream->session;
    const struct lb_sink *sink = session->sink;
    int rc = sink->end ? sink->end(stream, session->context, stream->verdict.end) : 0;

    if (rc > LB_UNSETTLED)
        return broken(stream, "end", "returns nonsense");
    if (rc == LB_UNSETTLED && !(sink->settle && sink->flags & LB_SINK_SLOW_END))
        return broken(stream, "end", "returns LB_UNSETTLED without settle and LB_SINK_SLOW_END");
    if (rc == -EINPROGRESS && sink->flags & LB_SINK_SLOW_END)
        return broken(stream, "end", "returns -EINPROGRESS in spite of LB_SINK_SLOW_END");
    return rc;
}

int lb_session_settle(struct lb_stream *const *streams, size_t count)
{
    const struct lb_session *session = &streams[0]->session;
    int rc = session->sink->settle(streams, count, session->context);

    return rc > 0 || rc == -EINPROGRESS ? broken(streams[0], "settle", "returns nonsense") : rc;
}

/* A word of visible ASCII, short enough: it stands in a line that others take apart. */
static bool is_receipt_id(const char *id)
{
    size_t size = 0;

    while (id[size] > ' ' && id[size] <= '~' && size <= RECEIPT_ID_MAX)
        size++;
    return size > 0 && size <= RECEIPT_ID_MAX && id[size] == '\0';
}

const char *lb_session_receipt_id(struct lb_stream *stream)
{
    const struct lb_session *session = &stream->session;
    const char *id = NULL;

    if (session->sink->receipt_id)
        id = session->sink->receipt_id(stream, session->context);
    if (!id || is_receipt_id(id))
        return id;
    broken(stream, "receipt_id", "returns no word of visible ASCII characters");
    return NULL;
}

/* ---- what a sink asks ------------------------------------------------------------------------ */

uint64_t lb_stream_bytes(const struct lb_stream *stream)
{
    return stream ? stream->session.meter.bytes : 0;
}

bool lb_stream_receipt(const struct lb_stream *stream)
{
    return stream && stream->session.meter.digest.algorithm;
}

int lb_stream_over_limit(struct lb_stream *stream, const char *limit)
{
    if (!stream || !limit)
        return -EINVAL;
    stream->session.limit = limit;
    return -EDQUOT;
}

int lb_stream_in_doubt(struct lb_stream *stream)
{
    if (!stream)
        return -EINVAL;
    stream->session.in_doubt = true;
    return 0;
}

int lb_stream_finish(struct lb_stream *stream)
{
    if (!stream)
        return -EINVAL;
    if (!may_decide(stream) || stream->session.asked == LB_ASKED_REFUSE)
        return -EBUSY;
    stream->session.asked = LB_ASKED_FINISH;
    return 0;
}

int lb_stream_watch(struct lb_stream *stream, int fd, unsigned events)
{
    const struct lb_lane *lane;
    struct stat status;
    int rc;

    if (!stream || events & ~(unsigned)(POLLIN | POLLOUT))
        return -EINVAL;
    /* The committer's threads are none of the lane's. */
    if (stream->state == LB_STREAM_COMMITTING)
        return -EBUSY;
    if (fd == stream->conn.fd && stream->state != LB_STREAM_ENDING)
        return -EINVAL;
    /* Backends differ in what they say of these. */
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
        return -EPERM;
    lane = stream->lane;
    rc = lane->backend->watch(lane->backend_state, fd, events, stream);
    if (rc == 0 && events)
        stream->session.watches++;
    else if (rc == 0 && stream->session.watches > 0)
        stream->session.watches--;
    return rc;
}

int lb_stream_alarm(struct lb_stream *stream, unsigned ms)
{
    if (!stream)
        return -EINVAL;
    if (!lb_stream_is_under_way(stream) && stream->state != LB_STREAM_ENDING &&
        stream->state != LB_STREAM_PARKED)
        return -EBUSY;
    stream->session.alarm_ns = ms == LB_NO_ALARM ? 0 : lb_clock_ns() + ms * LB_NS_PER_MS;
    lb_stream_arm(stream);
    return 0;
}
