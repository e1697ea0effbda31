/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "clock.h"
#include "forked.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DROP_SIZE = 16 << 10, /* bytes of one receive */
    DROP_TURN = 16        /* receives before other streams have their turn */
};

/* For a peer that does not read, without a limit of its own: as long as a slow line may need for
 * what is in the socket before a receipt. */
#define PATIENCE_NS (30 * LB_NS_PER_S)

/* For a peer that goes on sending: long enough for the line to travel there and be read, and not
 * for a flood. */
#define DRAIN_NS (5 * LB_NS_PER_S)
#define DRAIN_BYTES ((uint32_t)64 << 20)

/* ---- waiting for the peer -------------------------------------------------------------------- */

static void unwatch(struct lb_stream *stream)
{
    const struct lb_lane *lane = stream->lane;
    struct lb_wire *wire = &stream->wire;
    int fd = wire->watch_fd - 1;

    if (fd < 0)
        return;
    lane->backend->watch(lane->backend_state, fd, 0, stream);
    if (fd != stream->conn.fd)
        close(fd);
    wire->watch_fd = 0;
}

/* While the backend receives from the connection, or may do so again, its descriptor is the
 * backend's; another one for the same connection can be watched beside it. */
static int watched_fd(const struct lb_stream *stream)
{
    if (stream->wire.watch_fd)
        return stream->wire.watch_fd - 1;
    if (stream->state == LB_STREAM_ENDING || stream->state == LB_STREAM_ANSWERING)
        return stream->conn.fd;
    return fcntl(stream->conn.fd, F_DUPFD_CLOEXEC, 0);
}

/* Returns false if nothing will come of it. */
static bool await_peer(struct lb_stream *stream, unsigned events, uint64_t until_ns)
{
    const struct lb_lane *lane = stream->lane;
    struct lb_wire *wire = &stream->wire;
    int fd = wire->hurried ? -1 : watched_fd(stream);

    if (fd < 0)
        return false;
    wire->watch_fd = fd + 1;
    if (lane->backend->watch(lane->backend_state, fd, events, stream) < 0)
        return false;
    if (wire->until_ns != until_ns) {
        wire->until_ns = until_ns;
        lb_stream_arm(stream);
    }
    return true;
}

static uint64_t patience_ns(const struct lb_stream *stream)
{
    uint64_t idle_ns = stream->lane->rules->limits.idle_ns;

    return idle_ns ? idle_ns : PATIENCE_NS;
}

static void await_nothing(struct lb_stream *stream)
{
    if (!stream->wire.until_ns)
        return;
    stream->wire.until_ns = 0;
    lb_stream_arm(stream);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void drop_queue(struct lb_wire *wire)
{
    free(wire->queue);
    wire->queue = NULL;
    wire->queued = 0;
}

void lb_wire_give_up(struct lb_stream *stream)
{
    stream->wire.gone = true;
    drop_queue(&stream->wire);
    unwatch(stream);
    await_nothing(stream);
}

/* Returns how much the peer's socket took, or -1: the peer has gone. */
static ssize_t send_some(struct lb_stream *stream, const uint8_t *data, size_t size)
{
    ssize_t sent;

    do {
        sent = send(stream->conn.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN)
        return 0;
    lb_wire_give_up(stream);
    return -1;
}

static int enqueue(struct lb_stream *stream, const uint8_t *data, size_t size)
{
    struct lb_wire *wire = &stream->wire;
    uint8_t *queue = realloc(wire->queue, wire->queued + size);
    bool waiting = wire->queued > 0;

    if (!queue) {
        lb_wire_give_up(stream);
        return -ENOMEM;
    }
    memcpy(queue + wire->queued, data, size);
    wire->queue = queue;
    wire->queued += (uint32_t)size;
    if (waiting || await_peer(stream, POLLOUT, lb_clock_ns() + patience_ns(stream)))
        return 0;
    lb_wire_give_up(stream);
    return -EPIPE;
}

int lb_wire_put(struct lb_stream *stream, const void *data, size_t size)
{
    struct lb_wire *wire = &stream->wire;
    const uint8_t *bytes = data;
    ssize_t sent = 0;

    if (size == 0)
        return 0;
    if (!wire->gone && !wire->queued)
        sent = send_some(stream, bytes, size);
    if (wire->gone || wire->finished)
        return -EPIPE;
    return (size_t)sent == size ? 0 : enqueue(stream, bytes + sent, size - (size_t)sent);
}

/* Returns true once nothing is queued. */
static bool flush(struct lb_stream *stream)
{
    struct lb_wire *wire = &stream->wire;
    ssize_t sent;

    if (!wire->queued)
        return true;
    if (wire->hurried) {
        lb_wire_give_up(stream);
        return true;
    }
    sent = send_some(stream, wire->queue, wire->queued);
    if (sent < 0)
        return true;
    wire->queued -= (uint32_t)sent;
    if (!wire->queued) {
        drop_queue(wire);
        unwatch(stream);
        await_nothing(stream);
        return true;
    }
    memmove(wire->queue, wire->queue + sent, wire->queued);
    if (!await_peer(stream, POLLOUT,
                    sent > 0 ? lb_clock_ns() + patience_ns(stream) : wire->until_ns))
        lb_wire_give_up(stream);
    return wire->gone;
}

/* ---- the end of the connection --------------------------------------------------------------- */

/* Returns true when there is no more to wait for. */
static bool drain(struct lb_stream *stream)
{
    struct lb_wire *wire = &stream->wire;
    char dropped[DROP_SIZE];

    for (int turn = 0; turn < DROP_TURN; turn++) {
        ssize_t got = recv(stream->conn.fd, dropped, sizeof(dropped), MSG_DONTWAIT);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            break;
        wire->clean = got == 0;
        if (got <= 0)
            return true;
        wire->dropped += (uint32_t)got;
    }
    return wire->dropped > DRAIN_BYTES || !await_peer(stream, POLLIN, wire->until_ns);
}

/* Connections of our own listeners begin with a linger time of 0, see listener.c. */
static void set_reset(int fd, bool reset)
{
    const struct linger linger = {.l_onoff = reset, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void lb_wire_finish(struct lb_stream *stream, enum lb_closing closing, bool patient)
{
    stream->wire.closing = closing;
    stream->wire.hurried = !patient;
    if (closing != LB_CLOSING_RESET && !stream->borrowed)
        set_reset(stream->conn.fd, false);
}

static bool close_drained(struct lb_stream *stream)
{
    struct lb_wire *wire = &stream->wire;

    if (!wire->finished) {
        wire->finished = true;
        shutdown(stream->conn.fd, SHUT_WR);
        wire->until_ns = wire->hurried ? 0 : lb_clock_ns() + DRAIN_NS;
        lb_stream_arm(stream);
    }
    return drain(stream);
}

bool lb_wire_go_on(struct lb_stream *stream)
{
    const struct lb_wire *wire = &stream->wire;

    if (!flush(stream))
        return false;
    return wire->gone || wire->closing != LB_CLOSING_DRAIN || close_drained(stream);
}

/* A stream that isn't complete must not look so to its sender: without this, a close after
 * everything was read sends a FIN, and the sender sees a server that took it all. What was said is
 * let through first: a reset would discard what the peer hasn't acknowledged. */
static bool reset_peer(int fd)
{
    int unsent = 0;
    bool reset = ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent == 0;

    set_reset(fd, reset);
    return reset;
}

/* A child that was forked may hold the connection open: what its close would do is done before. */
static void end_for_all(int fd, bool reset)
{
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    /* Dissolving a TCP connection resets it (connect(2)). */
    if (!reset || connect(fd, &nowhere, sizeof(nowhere)) < 0)
        shutdown(fd, SHUT_RDWR);
}

void lb_wire_close(struct lb_stream *stream)
{
    const struct lb_wire *wire = &stream->wire;
    bool told = wire->closing == LB_CLOSING_PLAIN || wire->clean, reset = false;

    drop_queue(&stream->wire);
    unwatch(stream);
    if (!told)
        reset = reset_peer(stream->conn.fd);
    if (lb_forked() && !stream->borrowed)
        end_for_all(stream->conn.fd, reset);
}

void lb_wire_refuse(int fd, const char *line, size_t size)
{
    set_reset(fd, false);
    if (send(fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
        shutdown(fd, SHUT_WR);
}
