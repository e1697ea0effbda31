/* SPDX-License-Identifier: MIT */
/* TCP_ZEROCOPY_RECEIVE: whole pages of the receive queue are mapped where the last ones were, and
 * what is no whole page is received with a copy. The pages are the kernel's own, and go back with
 * the next call. Only where a segment carries a page, or a multiple: at an MTU that fits. */
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WINDOW = 2 << 20, BUFFER_SIZE = 256 << 10, WAKES_AT = 512 << 10 };

struct stream {
    int fd;
    void *window; /* where its pages are mapped */
    char *buffer;
    struct tally tally;
};

/* Returns how many bytes were mapped, and in *copy how many are to be received after them, which at
 * the stream's end find it; or -errno. */
static ssize_t map_some(struct stream *stream, size_t *copy)
{
    struct tcp_zerocopy_receive request = {
        .address = (uintptr_t)stream->window,
        .length = WINDOW,
    };
    socklen_t size = sizeof(request);

    if (getsockopt(stream->fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &request, &size) < 0) {
        *copy = 1;
        return errno == EIO ? 0 : -errno; /* EIO: it has ended */
    }
    *copy = request.recv_skip_hint < BUFFER_SIZE ? request.recv_skip_hint : BUFFER_SIZE;
    return request.length;
}

/* Returns 0 for EOF, a positive number to go on, or -errno. */
static ssize_t copy_some(struct stream *stream, struct receiver *receiver, size_t size)
{
    ssize_t got = recv(stream->fd, stream->buffer, size, MSG_DONTWAIT);

    if (got > 0)
        tally_take(receiver, &stream->tally, stream->buffer, (size_t)got);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    return got < 0 ? -errno : got;
}

static int receive_all(struct stream *stream, struct receiver *receiver)
{
    struct pollfd readable = {.fd = stream->fd, .events = POLLIN};
    ssize_t rc = 1;

    while (rc != 0) {
        size_t copy;
        ssize_t mapped = map_some(stream, &copy);

        if (mapped < 0)
            return (int)-mapped;
        if (mapped > 0) {
            tally_take(receiver, &stream->tally, stream->window, (size_t)mapped);
            receiver->report->mapped += (size_t)mapped;
        }
        if (copy > 0)
            rc = copy_some(stream, receiver, copy);
        else if (mapped == 0)
            poll(&readable, 1, -1);
        if (rc < 0)
            return (int)-rc;
    }
    return 0;
}

static int receive_stream(struct stream *stream, struct receiver *receiver)
{
    int least = WAKES_AT;

    stream->window = mmap(NULL, WINDOW, PROT_READ, MAP_SHARED, stream->fd, 0);
    if (stream->window == MAP_FAILED)
        return receiver_fail(receiver, "mapping a socket", errno);
    /* A call that maps costs most of what it does by being made. */
    setsockopt(stream->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least));
    tally_begin(receiver, &stream->tally);
    tally_end(receiver, &stream->tally, receive_all(stream, receiver));
    munmap(stream->window, WINDOW);
    return 0;
}

int mapped_receive(const struct contender *contender, struct receiver *receiver)
{
    struct stream stream = {.buffer = malloc(BUFFER_SIZE)};
    int listener = receiver_listen(receiver);
    int rc = -1;

    (void)contender;
    if (listener >= 0 && stream.buffer) {
        receiver_ready(receiver, NULL);
        for (rc = 0; rc == 0 && !receiver_finished(receiver);) {
            stream.fd = accept(listener, NULL, NULL);
            if (stream.fd < 0 && errno == EINTR)
                continue;
            rc = stream.fd < 0 ? receiver_fail(receiver, "accept", errno)
                               : receive_stream(&stream, receiver);
            if (stream.fd >= 0)
                close(stream.fd);
        }
        if (rc == 0)
            receiver_done(receiver);
    }
    if (listener >= 0)
        close(listener);
    free(stream.buffer);
    return rc;
}
