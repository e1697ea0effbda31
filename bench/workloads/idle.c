/* SPDX-License-Identifier: MIT */
/* Streams that only are: such as say nothing, and such as nobody takes from, so that their senders
 * can't say more. What they cost is looked at from outside. */
#include "clock.h"
#include "figures.h"
#include "payload.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_EVERY_NS = 5000000, SETTLE_NS = 100000000 };

static void pause_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    nanosleep(&time, NULL);
}

/* Until the driver lets the streams end. */
static void await_release(const struct sender *sender)
{
    char byte;

    while (sender->release_fd >= 0 && read(sender->release_fd, &byte, 1) < 0 && errno == EINTR)
        ;
}

/* ---- senders --------------------------------------------------------------------------------- */

int idle_send(const struct trial *trial, struct sender *sender)
{
    int *fds = sender_connect_all(sender);

    (void)trial;
    if (!fds)
        return -1;
    await_release(sender);
    return sender_finish_all(sender, fds);
}

/* How much is written next of a stream that has so much. */
static size_t next_size(const struct trial *trial, uint64_t sent)
{
    uint64_t left = trial->stream_bytes - sent;

    return left < trial->write_size ? left : trial->write_size;
}

/* Whatever each of them takes without waiting. Returns whether any did, or -1 with why. */
static int send_some(const struct trial *trial, struct sender *sender, const int *fds,
                     uint64_t *sent)
{
    int some = 0;

    for (unsigned i = 0; i < trial->streams; i++) {
        const uint8_t *data = payload_at(payload_phase(i) + sent[i]);
        ssize_t taken = send(fds[i], data, next_size(trial, sent[i]), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (taken < 0 && errno != EAGAIN && errno != EINTR)
            return sender_fail(sender, "send", errno);
        if (taken > 0) {
            sent[i] += (uint64_t)taken;
            some = 1;
        }
    }
    return some;
}

static int send_until_full(const struct trial *trial, struct sender *sender, const int *fds,
                           uint64_t *sent)
{
    uint64_t until = clock_now() + SETTLE_NS;

    while (clock_now() < until) {
        int some = send_some(trial, sender, fds, sent);

        if (some < 0)
            return -1;
        if (some)
            until = clock_now() + SETTLE_NS;
        else
            pause_ns(LOOK_EVERY_NS);
    }
    return 0;
}

static uint64_t socket_memory(int fd)
{
    uint32_t bytes[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof(bytes);

    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, bytes, &size);
    return (uint64_t)bytes[SK_MEMINFO_RMEM_ALLOC] + bytes[SK_MEMINFO_WMEM_QUEUED] +
           bytes[SK_MEMINFO_FWD_ALLOC];
}

/* Their receiver takes nothing until all have been looked at. */
static int send_stalled(const struct trial *trial, struct sender *sender, const int *fds,
                        uint64_t *sent)
{
    int rc = send_until_full(trial, sender, fds, sent);

    for (unsigned i = 0; rc == 0 && i < trial->streams; i++)
        sender->report->socket_memory += socket_memory(fds[i]);
    if (rc < 0)
        return -1;
    atomic_store(&sender->report->full, true);
    await_release(sender);
    for (unsigned i = 0; rc == 0 && i < trial->streams; i++)
        while (rc == 0 && sent[i] < trial->stream_bytes) {
            size_t size = next_size(trial, sent[i]);

            rc = sender_send(sender, fds[i], payload_at(payload_phase(i) + sent[i]), size);
            sent[i] += size;
        }
    return rc;
}

int stalled_send(const struct trial *trial, struct sender *sender)
{
    uint64_t *sent = calloc(trial->streams, sizeof(*sent));
    int *fds = sent ? sender_connect_all(sender) : NULL;
    int size = (int)trial->write_size, rc = 0;

    for (unsigned i = 0; fds && rc == 0 && i < trial->streams; i++)
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
            rc = sender_fail(sender, "SO_SNDBUF", errno);
    if (fds && rc == 0)
        rc = send_stalled(trial, sender, fds, sent);
    free(sent);
    return !fds || sender_finish_all(sender, fds) < 0 ? -1 : rc;
}

/* ---- observers ------------------------------------------------------------------------------- */

static bool all_accepted(const struct trial *trial, const struct sample *sample)
{
    return atomic_load(&sample->arrivals.opened) >= trial->streams;
}

static bool all_full(const struct trial *trial, const struct sample *sample)
{
    (void)trial;
    return atomic_load(&sample->sender.full);
}

static int await(const struct trial *trial, struct sample *sample,
                 bool (*done)(const struct trial *, const struct sample *))
{
    uint64_t until = clock_now() + (uint64_t)trial->timeout_s * NS_PER_S;

    while (!done(trial, sample)) {
        if (clock_now() > until || sample_child_ended(sample))
            return sample_fail(sample, "only %lu of %u streams were accepted",
                               (unsigned long)atomic_load(&sample->arrivals.opened),
                               trial->streams);
        pause_ns(LOOK_EVERY_NS);
    }
    pause_ns(SETTLE_NS);
    kernel_memory_read(&sample->idle.kernel);
    return 0;
}

int idle_observe(const struct trial *trial, struct sample *sample)
{
    struct idle *idle = &sample->idle;
    uint64_t begin, before, after;

    if (meter_process_cpu(sample->receiver_pid, &before) < 0 ||
        await(trial, sample, all_accepted) < 0)
        return sample_fail(sample, "the receiver can't be watched");
    begin = clock_now();
    if (meter_process_cpu(sample->receiver_pid, &after) < 0)
        return sample_fail(sample, "the receiver can't be watched");
    idle->connect_cpu_s = clock_seconds(after - before);
    before = after;
    pause_ns((uint64_t)(trial->seconds * NS_PER_S));
    if (meter_process_cpu(sample->receiver_pid, &after) < 0 ||
        meter_resident(sample->receiver_pid, &idle->resident) < 0)
        return sample_fail(sample, "the receiver can't be watched");
    idle->cpu_s_per_s = clock_seconds(after - before) / clock_seconds(clock_now() - begin);
    return 0;
}

int stalled_observe(const struct trial *trial, struct sample *sample)
{
    if (await(trial, sample, all_full) < 0 ||
        meter_resident(sample->receiver_pid, &sample->idle.resident) < 0)
        return sample_fail(sample, "the receiver can't be watched");
    return 0;
}

/* ---- figures --------------------------------------------------------------------------------- */

static void tell_memory(const struct trial *trial, const struct sample *sample,
                        struct figures *figures)
{
    const struct idle *idle = &sample->idle;
    double grown = (double)idle->resident - (double)idle->resident_before;
    double sockets = (double)idle->kernel.sockets - (double)idle->kernel_before.sockets;

    figures_add(figures, "rss_bytes_per_stream", grown / trial->streams);
    if (!idle->kernel.known)
        return;
    figures_add(figures, "kernel_object_bytes_per_stream",
                (double)kernel_memory_objects(&idle->kernel_before, &idle->kernel, trial->streams));
    figures_add(figures, "kernel_socket_bytes_per_stream",
                sockets > 0 ? sockets / trial->streams : 0);
}

void idle_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    tell_memory(trial, sample, figures);
    figures_add(figures, "idle_cpu_s_per_s", sample->idle.cpu_s_per_s);
    figures_add(figures, "connect_cpu_s", sample->idle.connect_cpu_s);
}

void stalled_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    tell_memory(trial, sample, figures);
    figures_add(figures, "sender_socket_bytes_per_stream",
                (double)sample->sender.socket_memory / trial->streams);
}
