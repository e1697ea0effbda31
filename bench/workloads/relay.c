/* SPDX-License-Identifier: MIT */
/* Each stream that has ended makes place for the next. */
#include "channel.h"
#include "figures.h"
#include "payload.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };

struct runner {
    struct channel channel;
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

    if (epoll_ctl(relay->epoll, operation, runner->channel.fd, &event) < 0)
        return sender_fail(relay->sender, "epoll_ctl", errno);
    return 0;
}

/* Sends what is taken; half-closes after the last byte. Returns 1 when all is sent, 0 when the
 * channel wants something first, -1 with why. */
static int push(struct relay *relay, struct runner *runner)
{
    uint64_t total = relay->trial->stream_bytes;

    while (runner->sent < total) {
        uint64_t left = total - runner->sent;
        size_t size = left < PAYLOAD_WRITE_MAX ? (size_t)left : PAYLOAD_WRITE_MAX;
        const uint8_t *data = payload_at(runner->phase + runner->sent);
        ssize_t sent = channel_send(&runner->channel, data, size);

        if (sent <= 0)
            return (int)sent;
        runner->sent += (uint64_t)sent;
    }
    return channel_half_close(&runner->channel) < 0 ? -1 : 1;
}

/* What it waits for after push has returned rc. */
static int await(struct relay *relay, struct runner *runner, int operation, int rc)
{
    if (rc < 0)
        return -1;
    return watch(relay, runner, operation, rc == 1 ? EPOLLIN : runner->channel.wants);
}

static int start(struct relay *relay, struct runner *runner)
{
    unsigned number = relay->started++;

    if (channel_open(&runner->channel, relay->sender, number, false) < 0)
        return -1;
    runner->phase = payload_phase(number);
    runner->sent = 0;
    return await(relay, runner, EPOLL_CTL_ADD, push(relay, runner));
}

/* The peer has closed, or said something. Returns 1 if the stream has ended. */
static int hear(struct relay *relay, struct runner *runner)
{
    char answer[4096];
    ssize_t size = recv(runner->channel.fd, answer, sizeof(answer), MSG_DONTWAIT);

    if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))
        return 0;
    return size == 0 ? 1 : sender_fail(relay->sender, "waiting for the receiver's close", errno);
}

static int end(struct relay *relay, struct runner *runner)
{
    channel_close(&runner->channel);
    relay->ended++;
    return relay->started < relay->trial->streams ? start(relay, runner) : 0;
}

static int serve(struct relay *relay, struct runner *runner)
{
    int rc;

    if (runner->sent < relay->trial->stream_bytes) {
        uint32_t wanted = runner->channel.wants;

        rc = push(relay, runner);
        return rc == 0 && runner->channel.wants == wanted ? 0
                                                          : await(relay, runner, EPOLL_CTL_MOD, rc);
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
        relay.runners[i].channel.fd = -1;
    if (relay.epoll < 0 || !relay.runners)
        rc = sender_fail(sender, "epoll_create1", errno);
    else
        rc = relay_loop(&relay);
    for (unsigned i = 0; relay.runners && i < trial->at_once; i++)
        channel_close(&relay.runners[i].channel);
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
