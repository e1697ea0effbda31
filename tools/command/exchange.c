/* SPDX-License-Identifier: MIT */
#include "exchange.h"

#include "producer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 << 10, ANSWER_SIZE = 64 << 10 };

/* An exchange under way. */
struct transfer {
    struct exchange *exchange;
    struct line *line;
    struct source source;
    struct patience patience;
    size_t begin, used; /* what of buffer is read and not yet sent */
    bool ending;        /* nothing is left to be read */
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

static int fail_connection(struct transfer *transfer, int error, const char *what)
{
    transfer->exchange->server = true;
    return fail(transfer, error, "%s after %" PRIu64 " bytes%s", what, transfer->exchange->bytes,
                transfer->exchange->ended ? " and the end were sent" : " were sent");
}

static int fail_server(struct transfer *transfer, int error)
{
    const char *what = transfer->line->why    ? transfer->line->why
                       : error == -EPIPE      ? "the server closed the connection"
                       : error == -ECONNRESET ? "the server reset the connection"
                       : error == -ECANCELED  ? "the server ended its answer"
                                              : strerror(-error);

    transfer->exchange->barred = error == -EACCES;
    return fail_connection(transfer, error, what);
}

/* With 0 seconds of lingering a close resets the connection; without, it ends the stream. */
static void reset_on_close(int socket, bool reset)
{
    struct linger linger = {.l_onoff = reset, .l_linger = 0};

    setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Takes a piece of what the server has said. Returns its size, 0 at the end, or -errno. */
static ssize_t receive_answer(struct transfer *transfer)
{
    ssize_t size = line_receive(transfer->line, transfer->answer, sizeof(transfer->answer));

    if (size < 0)
        return size;
    transfer->patience.moved = true;
    if (size > 0)
        answer_write(transfer->exchange->answer, transfer->answer, (size_t)size);
    return size;
}

static int take_answer(struct transfer *transfer)
{
    struct exchange *exchange = transfer->exchange;
    ssize_t size = receive_answer(transfer);

    if (size < 0)
        return size == -EAGAIN ? 0 : fail_server(transfer, (int)size);
    exchange->answered = size == 0;
    if (exchange->answered && exchange->proof && transfer->line->unproven) {
        exchange->answered = false;
        return fail_connection(transfer, -EPROTO,
                               "the connection closed without TLS's end (close_notify)");
    }
    /* No receipt can come any more. */
    if (exchange->answered && exchange->proof && !exchange->ended)
        return fail_server(transfer, -ECANCELED);
    return 0;
}

/* The server may have told why before it closed. An EOF behind a failure is not its own. */
static int fail_sending(struct transfer *transfer, int error)
{
    ssize_t size;

    while ((size = receive_answer(transfer)) > 0)
        ;
    return fail_server(transfer, transfer->line->why ? (int)size : error);
}

/* All is with the kernel: from here on a close, or our death, leaves it to be sent. */
static int end_stream(struct transfer *transfer)
{
    int socket = transfer->line->socket, error = line_end(transfer->line);

    transfer->ending = true;
    if (error)
        return error == -EAGAIN ? 0 : fail_sending(transfer, error);
    reset_on_close(socket, false);
    if (shutdown(socket, SHUT_WR) < 0) {
        error = -errno;
        reset_on_close(socket, true);
        return fail_sending(transfer, error == -ENOTCONN ? -ECONNRESET : error);
    }
    transfer->exchange->ended = true;
    return 0;
}

static int count_sent(struct transfer *transfer, ssize_t size)
{
    transfer->patience.moved = true;
    if (transfer->source.is_seal)
        return 0;
    transfer->exchange->bytes += (uint64_t)size;
    *transfer->exchange->progress += (uint64_t)size;
    return 0;
}

static int send_buffer(struct transfer *transfer)
{
    ssize_t size = line_send(transfer->line, transfer->buffer + transfer->begin,
                             transfer->used - transfer->begin);

    if (size <= 0)
        return size == -EAGAIN ? 0 : fail_sending(transfer, size ? (int)size : -EPIPE);
    transfer->begin += (size_t)size;
    return count_sent(transfer, size);
}

static int fail_source(struct transfer *transfer, int error)
{
    char why[sizeof(transfer->exchange->why)];

    source_why(&transfer->source, error, why, sizeof(why));
    return fail(transfer, error, "%s", why);
}

static int fill_buffer(struct transfer *transfer)
{
    ssize_t size = source_read(&transfer->source, transfer->buffer, sizeof(transfer->buffer));

    if (size == -EAGAIN)
        return 0;
    if (size < 0)
        return fail_source(transfer, (int)size);
    if (size == 0)
        return end_stream(transfer);
    if (transfer->exchange->proof && !transfer->source.is_seal) {
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
    ssize_t size = source_send(&transfer->source, transfer->line->socket);

    if (size > 0)
        return count_sent(transfer, size);
    /* Not now; the end of one input; or it is read from now on. */
    if (size == -EAGAIN || size == 0 || size == -EOPNOTSUPP)
        return 0;
    return transfer->source.failed ? fail_source(transfer, (int)size)
                                   : fail_sending(transfer, (int)size);
}

static bool wants_socket(const struct transfer *transfer)
{
    return !transfer->exchange->ended && (transfer->begin < transfer->used || transfer->ending ||
                                          source_by_kernel(&transfer->source));
}

/* What one step may have to do with. */
enum { SOCKET, INPUT, STOP, POLLED };

/* Waits until something can be done. Polling the input too lets a server talk while standard input
 * is silent. */
static int await(struct transfer *transfer, struct pollfd ready[POLLED])
{
    struct exchange *exchange = transfer->exchange;
    bool input = !exchange->ended && !wants_socket(transfer);
    int fd = input ? source_fd(&transfer->source) : -1;
    int wait_ms = input && fd < 0 ? 0 : patience_wait_ms(&transfer->patience);

    ready[SOCKET] = (struct pollfd){.fd = transfer->line->socket};
    if (!exchange->answered)
        ready[SOCKET].events |= POLLIN;
    if (wants_socket(transfer) || transfer->line->wants_to_write)
        ready[SOCKET].events |= POLLOUT;
    ready[INPUT] = (struct pollfd){.fd = fd, .events = POLLIN};
    ready[STOP] = (struct pollfd){.fd = producer_stop_fd(), .events = POLLIN};
    if (poll(ready, POLLED, wait_ms) < 0) {
        if (errno != EINTR)
            return fail(transfer, -errno, "poll: %s", strerror(errno));
        for (int i = 0; i < POLLED; i++)
            ready[i].revents = 0;
    }
    if (ready[STOP].revents)
        return fail(transfer, -ECANCELED, "stopped by %s", producer_stop_name());
    if (input && fd < 0)
        ready[INPUT].revents = POLLIN;
    return 0;
}

/* Whatever waits for the socket, or the server, is not waiting for input. */
static int check_patience(struct transfer *transfer, const struct pollfd *ready)
{
    char why[120];
    bool ours = ready[INPUT].fd >= 0;

    if (patience_check(&transfer->patience, ours, why, sizeof(why)) == 0)
        return 0;
    return fail_connection(transfer, -ETIMEDOUT, why);
}

/* One step in each direction that is possible now. */
static int step(struct transfer *transfer)
{
    struct exchange *exchange = transfer->exchange;
    struct pollfd ready[POLLED];
    int error = await(transfer, ready);

    if (error)
        return error;
    if ((ready[SOCKET].revents & (POLLIN | POLLERR | POLLHUP) ||
         (ready[SOCKET].revents && transfer->line->wants_to_write)) &&
        !exchange->answered)
        error = take_answer(transfer);
    else if (ready[SOCKET].revents & (POLLERR | POLLHUP) && !exchange->ended)
        error = fail_server(transfer, -EPIPE);
    if (!error)
        error = check_patience(transfer, ready);
    if (error || exchange->ended)
        return error;
    if (!wants_socket(transfer))
        return ready[INPUT].revents ? fill_buffer(transfer) : 0;
    if (!(ready[SOCKET].revents & POLLOUT))
        return 0;
    if (transfer->begin < transfer->used)
        return send_buffer(transfer);
    return transfer->ending ? end_stream(transfer) : send_file(transfer);
}

/* A server may close its side early and go on receiving; one that is gone answers what we sent
 * with a reset. Which of the two is known once nothing is unacknowledged. */
static int settle(struct transfer *transfer)
{
    static const struct pollfd nothing[POLLED] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};

    for (int wait_ms = 1;; wait_ms = wait_ms < 100 ? 2 * wait_ms : 100) {
        socklen_t size = sizeof(int);
        int error = 0;

        int queued = patience_queued(transfer->line->socket);
        getsockopt(transfer->line->socket, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            return fail_server(transfer, -error);
        if (queued == 0)
            return 0;
        error = check_patience(transfer, nothing);
        if (error)
            return error;
        poll(NULL, 0, wait_ms);
    }
}

static int run(struct transfer *transfer)
{
    struct exchange *exchange = transfer->exchange;
    int error = 0;

    while (!error && !(exchange->ended && exchange->answered))
        error = step(transfer);
    return error ? error : settle(transfer);
}

int exchange_run(struct exchange *exchange, struct line *line)
{
    struct transfer *transfer = malloc(sizeof(*transfer));

    exchange->bytes = 0;
    exchange->ended = exchange->answered = false;
    exchange->server = exchange->barred = false;
    if (!transfer) {
        line_close(line);
        close(line->socket);
        snprintf(exchange->why, sizeof(exchange->why), "out of memory");
        return -ENOMEM;
    }
    transfer->exchange = exchange;
    transfer->line = line;
    transfer->begin = transfer->used = 0;
    transfer->ending = false;
    /* Bytes of which a digest is made must be seen, and so must those that TLS enciphers. */
    source_init(&transfer->source, exchange->inputs, exchange->count, exchange->proof || line->tls,
                &exchange->seal);
    patience_init(&transfer->patience, line->socket, &exchange->limits);
    int error = run(transfer);
    /* Before the producer is waited for: nobody is to wait for that. */
    line_close(line);
    close(line->socket);
    source_close(&transfer->source);
    free(transfer);
    return error;
}
