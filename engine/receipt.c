/* SPDX-License-Identifier: MIT */
#include "receipt.h"

#include "clock.h"
#include "engine.h"
#include "stamp.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LINE_SIZE = 512,
    ID_MAX = 255,
    REASON_SIZE = 64,
    DROP_SIZE = 16 << 10, /* bytes of one receive */
    DROP_TURN = 16        /* receives before other streams have their turn */
};

/* For a peer that does not read: as long as a slow line may need for what is in the socket before
 * the receipt. */
#define GIVE_NS (30 * LB_NS_PER_S)

/* For a peer that goes on sending: long enough for the line to travel there and be read, and not
 * for a flood. */
#define DRAIN_NS (5 * LB_NS_PER_S)
#define DRAIN_BYTES ((uint64_t)64 << 20)

bool lb_receipt_wanted(const struct lb_engine *engine)
{
    return engine->digest.algorithm;
}

bool lb_stream_receipt(const struct lb_stream *stream)
{
    return stream->receipt.digest.algorithm;
}

int lb_receipt_open(struct lb_stream *stream)
{
    const struct lb_engine *engine = stream->worker->engine;

    return lb_receipt_wanted(engine) ? lb_digest_open(&stream->receipt.digest, &engine->digest) : 0;
}

int lb_receipt_add(struct lb_stream *stream, const void *data, size_t size)
{
    return lb_digest_update(&stream->receipt.digest, data, size);
}

void lb_receipt_follow(struct lb_stream *stream, const void *told, size_t size)
{
    const char *text = told;

    if (size > 0)
        stream->receipt.mid_line = text[size - 1] != '\n';
}

/* ---- the line -------------------------------------------------------------------------------- */

/* One token: the end, and the detail that is known. */
static void write_reason(char reason[REASON_SIZE], enum lb_end end, const char *why, int error)
{
    bool by_error = !why && error < 0 && (end == LB_END_SINK || end == LB_END_ERROR);

#ifdef LB_HAVE_STRERRORNAME
    if (by_error)
        why = strerrorname_np(-error);
#endif
    if (why)
        snprintf(reason, REASON_SIZE, "%s:%s", lb_end_name(end), why);
    else if (by_error)
        snprintf(reason, REASON_SIZE, "%s:%d", lb_end_name(end), -error);
    else
        snprintf(reason, REASON_SIZE, "%s", lb_end_name(end));
}

static int write_error(char line[LINE_SIZE], enum lb_end end, const char *why, int error,
                       uint64_t bytes)
{
    char reason[REASON_SIZE];

    write_reason(reason, end, why, error);
    return snprintf(line, LINE_SIZE, "error %s %" PRIu64 "\n", reason, bytes);
}

/* The sink's own name for the stream, if it has one that will do, or a new one. */
static const char *find_id(struct lb_stream *stream, char stamp[LB_STAMP_SIZE])
{
    const struct lb_engine *engine = stream->worker->engine;
    const char *id = NULL;

    if (engine->sink->receipt_id)
        id = engine->sink->receipt_id(stream, engine->config.sink_context);
    if (id && strlen(id) <= ID_MAX)
        return id;
    lb_stamp_make(stamp);
    return stamp;
}

static int compose_line(struct lb_stream *stream, char line[LINE_SIZE])
{
    const struct lb_engine *engine = stream->worker->engine;
    char digest[LB_DIGEST_TEXT_SIZE];
    char stamp[LB_STAMP_SIZE];
    int rc;

    if (stream->end != LB_END_EOF)
        return write_error(line, stream->end, stream->why, stream->error, stream->bytes);
    rc = lb_digest_finish(&stream->receipt.digest, digest);
    if (rc < 0)
        return write_error(line, LB_END_ERROR, NULL, rc, stream->bytes);
    return snprintf(line, LINE_SIZE, "ok %" PRIu64 " %s:%s %s\n", stream->bytes,
                    lb_digest_name(&engine->digest), digest, find_id(stream, stamp));
}

/* Behind half a line it would be no line of its own. */
static int compose(struct lb_stream *stream, char text[1 + LINE_SIZE])
{
    int before = stream->receipt.mid_line;

    text[0] = '\n';
    return before + compose_line(stream, text + before);
}

/* ---- giving it ------------------------------------------------------------------------------- */

/* Returns how much the peer's socket took, or -errno. */
static ssize_t offer(const struct lb_stream *stream, const char *line, size_t size)
{
    ssize_t sent;

    do {
        sent = send(stream->conn.fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -errno;
    return sent;
}

/* Returns false if nothing will come of it. */
static bool await_peer(struct lb_stream *stream, unsigned events)
{
    struct lb_receipt *receipt = &stream->receipt;

    if (lb_clock_ns() >= receipt->until_ns || lb_stream_watch(stream, stream->conn.fd, events) < 0)
        return false;
    receipt->watching = true;
    return true;
}

/* Returns true when there is no more to wait for. */
static bool drain(struct lb_stream *stream)
{
    struct lb_receipt *receipt = &stream->receipt;
    char dropped[DROP_SIZE];

    for (int turn = 0; turn < DROP_TURN; turn++) {
        ssize_t got = recv(stream->conn.fd, dropped, sizeof(dropped), MSG_DONTWAIT);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            break;
        receipt->given = got == 0;
        if (got <= 0)
            return true;
        receipt->dropped += (uint64_t)got;
    }
    return receipt->dropped > DRAIN_BYTES || !await_peer(stream, POLLIN);
}

/* The whole line is in the socket. Returns true when the stream may be closed. */
static bool line_sent(struct lb_stream *stream)
{
    struct lb_receipt *receipt = &stream->receipt;

    receipt->given = stream->end == LB_END_EOF;
    if (receipt->given)
        return true;
    receipt->draining = true;
    shutdown(stream->conn.fd, SHUT_WR);
    if (receipt->until_ns)
        receipt->until_ns = lb_clock_ns() + DRAIN_NS;
    return drain(stream);
}

bool lb_receipt_give(struct lb_stream *stream, bool patient)
{
    struct lb_receipt *receipt = &stream->receipt;
    char line[1 + LINE_SIZE];
    size_t size;
    ssize_t sent;

    if (!lb_receipt_wanted(stream->worker->engine))
        return true;
    receipt->until_ns = patient ? lb_clock_ns() + GIVE_NS : 0;
    size = (size_t)compose(stream, line);
    sent = offer(stream, line, size);
    if (sent < 0)
        return true;
    if ((size_t)sent == size)
        return line_sent(stream);
    /* A socket that an answer has filled. */
    receipt->rest_size = size - (size_t)sent;
    receipt->rest = strndup(line + sent, receipt->rest_size);
    return !receipt->rest || !await_peer(stream, POLLOUT);
}

bool lb_receipt_go_on(struct lb_stream *stream)
{
    struct lb_receipt *receipt = &stream->receipt;
    ssize_t sent;

    if (receipt->draining)
        return drain(stream);
    sent = offer(stream, receipt->rest, receipt->rest_size);
    if (sent < 0)
        return true;
    receipt->rest_size -= (size_t)sent;
    if (receipt->rest_size == 0)
        return line_sent(stream);
    memmove(receipt->rest, receipt->rest + sent, receipt->rest_size);
    return !await_peer(stream, POLLOUT);
}

void lb_receipt_close(struct lb_stream *stream)
{
    struct lb_receipt *receipt = &stream->receipt;

    lb_digest_close(&receipt->digest);
    free(receipt->rest);
    receipt->rest = NULL;
    if (receipt->watching)
        lb_stream_watch(stream, stream->conn.fd, 0);
    receipt->watching = false;
}

void lb_receipt_refuse(const struct lb_engine *engine, int fd, enum lb_end end, const char *why)
{
    char line[LINE_SIZE];
    int size;

    if (!lb_receipt_wanted(engine))
        return;
    size = write_error(line, end, why, 0, 0);
    if (send(fd, line, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) == size)
        shutdown(fd, SHUT_WR);
}
