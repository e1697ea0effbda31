/* SPDX-License-Identifier: MIT */
/* Each stream that has ended makes place for the next. */
#include "figures.h"
#include "payload.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };

struct runner {
    int fd;
    uint64_t phase, sent;
};

struct relay {
    const struct trial *trial;
    struct sender *sender;
    int epoll;
    unsigned started, ended;
    struct runner *runners; /* trial's at_once */
};

static int watch(struct relay *relay, struct runner *runner, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = runner};

    if (epoll_ctl(relay->epoll, operation, runner->fd, &event) < 0)
        return sender_fail(relay->sender, "epoll_ctl", errno);
    return 0;
}

/* Sends what the socket takes; half-closes after the last byte. Returns 1 when all is sent, 0 when
 * the socket is full, -1 with why. */
static int push(struct relay *relay, struct runner *runner)
{
    uint64_t total = relay->trial->stream_bytes;

    while (runner->sent < total) {
        uint64_t left = total - runner->sent;
        size_t size = left < PAYLOAD_WRITE_MAX ? (size_t)left : PAYLOAD_WRITE_MAX;
        const uint8_t *data = payload_at(runner->phase + runner->sent);
        ssize_t sent = send(runner->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : sender_fail(relay->sender, "send", errno);
        runner->sent += (uint64_t)sent;
    }
    if (shutdown(runner->fd, SHUT_WR) < 0)
        return sender_fail(relay->sender, "shutdown", errno);
    return 1;
}

static int start(struct relay *relay, struct runner *runner)
{
    unsigned number = relay->started++;
    int rc;

    runner->fd = sender_connect(relay->sender, number);
    runner->phase = payload_phase(number);
    runner->sent = 0;
    if (runner->fd < 0)
        return -1;
    rc = push(relay, runner);
    if (rc < 0)
        return -1;
    return watch(relay, runner, EPOLL_CTL_ADD, rc == 1 ? EPOLLIN : EPOLLOUT);
}

/* The peer has closed, or said something. Returns 1 if the stream has ended. */
static int hear(struct relay *relay, struct runner *runner)
{
    char answer[4096];
    ssize_t size = recv(runner->fd, answer, sizeof(answer), MSG_DONTWAIT);

    if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))
        return 0;
    return size == 0 ? 1 : sender_fail(relay->sender, "waiting for the receiver's close", errno);
}

static int end(struct relay *relay, struct runner *runner)
{
    close(runner->fd);
    runner->fd = -1;
    relay->ended++;
    return relay->started < relay->trial->streams ? start(relay, runner) : 0;
}

static int serve(struct relay *relay, struct runner *runner)
{
    int rc;

    if (runner->sent < relay->trial->stream_bytes) {
        rc = push(relay, runner);
        return rc == 1 ? watch(relay, runner, EPOLL_CTL_MOD, EPOLLIN) : rc;
    }
    rc = hear(relay, runner);
    return rc == 1 ? end(relay, runner) : rc;
}

static int relay_loop(struct relay *relay)
{
    struct epoll_event events[EVENTS_MAX];
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < relay->trial->at_once; i++)
        rc = start(relay, &relay->runners[i]);
    while (rc == 0 && relay->ended < relay->trial->streams) {
        int count = epoll_wait(relay->epoll, events, EVENTS_MAX, -1);

        if (count < 0 && errno != EINTR)
            return sender_fail(relay->sender, "epoll_wait", errno);
        for (int i = 0; rc == 0 && i < count; i++)
            rc = serve(relay, events[i].data.ptr);
    }
    return rc;
}

int relay_send(const struct trial *trial, struct sender *sender)
{
    struct relay relay = {
        .trial = trial,
        .sender = sender,
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .runners = calloc(trial->at_once, sizeof(struct runner)),
    };
    int rc;

    for (unsigned i = 0; relay.runners && i < trial->at_once; i++)
        relay.runners[i].fd = -1;
    if (relay.epoll < 0 || !relay.runners)
        rc = sender_fail(sender, "epoll_create1", errno);
    else
        rc = relay_loop(&relay);
    for (unsigned i = 0; relay.runners && i < trial->at_once; i++)
        if (relay.runners[i].fd >= 0)
            close(relay.runners[i].fd);
    free(relay.runners);
    if (relay.epoll >= 0)
        close(relay.epoll);
    return rc;
}

void short_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    double streams = trial->streams;

    figures_add(figures, "receiver_cpu_us_per_stream",
                meter_cpu(&sample->receiver.spent) * 1e6 / streams);
    figures_add(figures, "system_cpu_us_per_stream", sample_system_cpu(sample) * 1e6 / streams);
}
