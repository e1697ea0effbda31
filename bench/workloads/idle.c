/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "figures.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { LOOK_EVERY_NS = 5000000, SETTLE_NS = 100000000 };

static void pause_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    nanosleep(&time, NULL);
}

int idle_send(const struct trial *trial, struct sender *sender)
{
    int *fds = sender_connect_all(sender);
    char byte;

    (void)trial;
    if (!fds)
        return -1;
    while (sender->release_fd >= 0 && read(sender->release_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    return sender_finish_all(sender, fds);
}

static int await_streams(const struct trial *trial, struct sample *sample)
{
    uint64_t until = clock_now() + (uint64_t)trial->timeout_s * NS_PER_S;

    while (atomic_load(&sample->arrivals.opened) < trial->streams) {
        if (clock_now() > until || sample_child_ended(sample))
            return sample_fail(sample, "only %lu of %u streams were accepted",
                               (unsigned long)atomic_load(&sample->arrivals.opened),
                               trial->streams);
        pause_ns(LOOK_EVERY_NS);
    }
    return 0;
}

int idle_observe(const struct trial *trial, struct sample *sample)
{
    struct idle *idle = &sample->idle;
    uint64_t begin, before, after;

    if (meter_process_cpu(sample->receiver_pid, &before) < 0 || await_streams(trial, sample) < 0)
        return sample_fail(sample, "the receiver can't be watched");
    pause_ns(SETTLE_NS);
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

void idle_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    double grown = (double)sample->idle.resident - (double)sample->idle.resident_before;

    figures_add(figures, "rss_bytes_per_stream", grown / trial->streams);
    figures_add(figures, "idle_cpu_s_per_s", sample->idle.cpu_s_per_s);
    figures_add(figures, "connect_cpu_s", sample->idle.connect_cpu_s);
}
