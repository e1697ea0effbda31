/* SPDX-License-Identifier: MIT */
#include "exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 << 10, ANSWER_SIZE = 64 << 10 };

/* An exchange under way. */
struct transfer {
    struct exchange *exchange;
    int socket;
    struct reader reader; /* of inputs[next - 1] */
    size_t next;
    bool open;          /* the reader is */
    size_t begin, used; /* what of buffer is read and not yet sent */
    char buffer[BUFFER_SIZE];
    char answer[ANSWER_SIZE];
};

__attribute__((format(printf, 3, 4))) static int fail(struct transfer *transfer, int error,
                                                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(transfer->exchange->why, sizeof(transfer->exchange->why), format, arguments);
    va_end(arguments);
    return error;
}

static int fail_server(struct transfer *transfer, int error)
{
    const char *what = error == -EPIPE        ? "the server closed the connection"
                       : error == -ECONNRESET ? "the server reset the connection"
                       : error == -ECANCELED  ? "the server ended its answer"
                                              : strerror(-error);

    transfer->exchange->server = true;
    return fail(transfer, error, "%s after %" PRIu64 " bytes%s", what, transfer->exchange->bytes,
                transfer->exchange->ended ? " and the end were sent" : " were sent");
}

static int fail_input(struct transfer *transfer, int error)
{
    const char *why = error == -ESTALE ? "changed its size while it was sent" : strerror(-error);

    if (transfer->exchange->count == 1)
        return fail(transfer, error, "%s", why);
    return fail(transfer, error, "%s: %s", input_name(transfer->reader.input), why);
}

/* With 0 seconds of lingering a close resets the connection; without, it ends the stream. */
static void reset_on_close(int socket, bool reset)
{
    struct linger linger = {.l_onoff = reset, .l_linger = 0};

    setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* A server that vanished while its answer is awaited is noticed after two minutes; Unix sockets need
 * none of this. */
static void notice_vanishing(int socket)
{
    static const int on = 1, idle_seconds = 60, every_seconds = 10, probes = 6;

    setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof(idle_seconds));
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &every_seconds, sizeof(every_seconds));
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Takes a piece of what the server has said. Returns its size, 0 at the end, or -errno. */
static ssize_t receive_answer(struct transfer *transfer)
{
    ssize_t size = recv(transfer->socket, transfer->answer, sizeof(transfer->answer), MSG_DONTWAIT);

    if (size < 0)
        return -errno;
    if (size > 0)
        answer_write(transfer->exchange->answer, transfer->answer, (size_t)size);
    return size;
}

static int take_answer(struct transfer *transfer)
{
    struct exchange *exchange = transfer->exchange;
    ssize_t size = receive_answer(transfer);

    if (size < 0)
        return size == -EAGAIN || size == -EINTR ? 0 : fail_server(transfer, (int)size);
    exchange->answered = size == 0;
    /* No receipt can come any more. */
    if (exchange->answered && exchange->proof && !exchange->ended)
        return fail_server(transfer, -ECANCELED);
    return 0;
}

/* The server may have told why before it closed. An EOF behind a failure is not its own. */
static int fail_sending(struct transfer *transfer, int error)
{
    while (receive_answer(transfer) > 0)
        ;
    return fail_server(transfer, error);
}

static int end_stream(struct transfer *transfer)
{
    reset_on_close(transfer->socket, false);
    if (shutdown(transfer->socket, SHUT_WR) < 0) {
        int error = -errno;

        reset_on_close(transfer->socket, true);
        return fail_sending(transfer, error == -ENOTCONN ? -ECONNRESET : error);
    }
    transfer->exchange->ended = true;
    return 0;
}

/* Goes to the next input, or ends the stream behind the last. */
static int advance(struct transfer *transfer)
{
    if (transfer->open)
        reader_close(&transfer->reader);
    transfer->open = false;
    if (transfer->next == transfer->exchange->count)
        return end_stream(transfer);
    int error = reader_open(&transfer->reader, &transfer->exchange->inputs[transfer->next++]);
    if (error)
        return fail_input(transfer, error);
    if (transfer->exchange->proof)
        transfer->reader.by_kernel = false; /* its bytes must be seen */
    transfer->open = true;
    return 0;
}

static int count_sent(struct transfer *transfer, ssize_t size)
{
    transfer->exchange->bytes += (uint64_t)size;
    *transfer->exchange->progress += (uint64_t)size;
    return 0;
}

static int send_buffer(struct transfer *transfer)
{
    ssize_t size = send(transfer->socket, transfer->buffer + transfer->begin,
                        transfer->used - transfer->begin, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : fail_sending(transfer, -errno);
    transfer->begin += (size_t)size;
    return count_sent(transfer, size);
}

static int fill_buffer(struct transfer *transfer)
{
    ssize_t size = reader_read(&transfer->reader, transfer->buffer, sizeof(transfer->buffer));

    if (size == -EAGAIN)
        return 0;
    if (size < 0)
        return fail_input(transfer, (int)size);
    if (size == 0)
        return advance(transfer);
    if (transfer->exchange->proof) {
        int error = proof_add(transfer->exchange->proof, transfer->buffer, (size_t)size);

        if (error)
            return fail(transfer, error, "digest: %s", strerror(-error));
    }
    transfer->begin = 0;
    transfer->used = (size_t)size;
    return send_buffer(transfer);
}

static int send_file(struct transfer *transfer)
{
    ssize_t size = reader_send(&transfer->reader, transfer->socket);

    if (size > 0)
        return count_sent(transfer, size);
    if (size == 0)
        return advance(transfer);
    switch (size) {
    case -EAGAIN:
    case -EOPNOTSUPP: /* from now on it is read */
        return 0;
    case -EIO:
    case -ESTALE:
        return fail_input(transfer, (int)size);
    default:
        return fail_sending(transfer, (int)size);
    }
}

static bool wants_socket(const struct transfer *transfer)
{
    return transfer->open && (transfer->begin < transfer->used || transfer->reader.by_kernel);
}

/* One step in each direction that is possible now. Polling the input too lets a server talk while
 * standard input is silent. */
static int step(struct transfer *transfer)
{
    struct pollfd ready[2] = {{.fd = transfer->socket}, {.fd = -1, .events = POLLIN}};
    bool text = transfer->open && transfer->reader.fd < 0; /* always ready */
    int error = 0;

    if (!transfer->exchange->answered)
        ready[0].events |= POLLIN;
    if (wants_socket(transfer))
        ready[0].events |= POLLOUT;
    else if (transfer->open)
        ready[1].fd = transfer->reader.fd;
    if (poll(ready, 2, text && !wants_socket(transfer) ? 0 : -1) < 0)
        return errno == EINTR ? 0 : fail(transfer, -errno, "poll: %s", strerror(errno));
    if (ready[0].revents & (POLLIN | POLLERR | POLLHUP) && !transfer->exchange->answered)
        error = take_answer(transfer);
    else if (ready[0].revents & (POLLERR | POLLHUP) && !transfer->exchange->ended)
        error = fail_server(transfer, -EPIPE);
    if (error || transfer->exchange->ended)
        return error;
    if (transfer->begin < transfer->used)
        return ready[0].revents & POLLOUT ? send_buffer(transfer) : 0;
    if (transfer->reader.by_kernel)
        return ready[0].revents & POLLOUT ? send_file(transfer) : 0;
    return text || ready[1].revents ? fill_buffer(transfer) : 0;
}

/* A server may close its side early and go on receiving; one that is gone answers what we sent
 * with a reset. Which of the two is known once nothing is unacknowledged. */
static int settle(struct transfer *transfer)
{
    for (int wait_ms = 1;; wait_ms = wait_ms < 100 ? 2 * wait_ms : 100) {
        int unsent = 0, error = 0;
        socklen_t size = sizeof(error);

        if (ioctl(transfer->socket, SIOCOUTQ, &unsent) < 0)
            unsent = 0;
        getsockopt(transfer->socket, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            return fail_server(transfer, -error);
        if (unsent == 0)
            return 0;
        poll(NULL, 0, wait_ms);
    }
}

int exchange_run(struct exchange *exchange, int socket)
{
    struct transfer *transfer = malloc(sizeof(*transfer));
    int error = 0;

    exchange->bytes = 0;
    exchange->ended = exchange->answered = false;
    exchange->server = false;
    if (!transfer) {
        close(socket);
        snprintf(exchange->why, sizeof(exchange->why), "out of memory");
        return -ENOMEM;
    }
    transfer->exchange = exchange;
    transfer->socket = socket;
    transfer->next = 0;
    transfer->open = false;
    transfer->begin = transfer->used = 0;
    reset_on_close(socket, true);
    notice_vanishing(socket);
    if (fcntl(socket, F_SETFL, O_NONBLOCK) < 0)
        error = fail(transfer, -errno, "fcntl: %s", strerror(errno));
    if (!error)
        error = advance(transfer);
    while (!error && !(exchange->ended && exchange->answered))
        error = step(transfer);
    if (!error)
        error = settle(transfer);
    if (transfer->open)
        reader_close(&transfer->reader);
    close(socket);
    free(transfer);
    return error;
}
