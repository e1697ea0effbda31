/* SPDX-License-Identifier: MIT */
/* An open loop: each message has a time at which it is due, whatever became of those before. It
 * carries that time, so a receiver (or a sender) that falls behind shows in every later message. */
#include "clock.h"
#include "figures.h"
#include "message.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <math.h>
#include <stddef.h>
#include <sys/prctl.h>

enum {
    LEAD_NS = 20000000, /* from the last connect to the first message */
    WARM_UP_NS = 100000000
};

static int send_messages(const struct trial *trial, struct sender *sender, const int *fds)
{
    uint64_t messages = trial_bytes(trial) / sizeof(struct message);
    uint64_t begin = clock_now() + LEAD_NS;
    uint64_t warm = begin + (uint64_t)fmin(WARM_UP_NS, trial->seconds * NS_PER_S / 8);
    int rc = 0;

    for (uint64_t i = 0; rc == 0 && i < messages; i++) {
        uint64_t due = begin + i * NS_PER_S / trial->rate;
        struct message message;

        message_make(&message, due < warm ? 0 : due + (uint64_t)sender->clock_ahead_ns,
                     i / trial->streams);
        sender_wait_until(due);
        if (due >= warm)
            histogram_add(&sender->report->lag, clock_now() - due);
        rc = sender_send(sender, fds[i % trial->streams], &message, sizeof(message));
    }
    return rc;
}

int latency_send(const struct trial *trial, struct sender *sender)
{
    int *fds;
    int rc;

    prctl(PR_SET_TIMERSLACK, 1);
    fds = sender_connect_all(sender);
    if (!fds)
        return -1;
    rc = send_messages(trial, sender, fds);
    return sender_finish_all(sender, fds) < 0 ? -1 : rc;
}

static double microseconds(const struct histogram *histogram, double percent)
{
    return (double)histogram_percentile(histogram, percent) / 1e3;
}

void latency_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    static const struct {
        const char *name;
        double percent;
    } points[] = {
        {"p10_us", 10},    {"p25_us", 25},      {"p50_us", 50},      {"p75_us", 75},
        {"p90_us", 90},    {"p95_us", 95},      {"p99_us", 99},      {"p995_us", 99.5},
        {"p999_us", 99.9}, {"p9995_us", 99.95}, {"p9999_us", 99.99}, {"max_us", 100},
        {NULL, 0},
    };
    const struct histogram *latency = &sample->arrivals.latency;

    figures_add(figures, "rate", trial->rate);
    figures_add(figures, "messages", (double)latency->count);
    for (size_t i = 0; points[i].name; i++)
        figures_add(figures, points[i].name, microseconds(latency, points[i].percent));
    figures_add(figures, "mean_us", histogram_mean(latency) / 1e3);
    figures_add(figures, "sender_lag_p99_us", microseconds(&sample->sender.lag, 99));
    figures_add(figures, "sender_lag_max_us", microseconds(&sample->sender.lag, 100));
    figures_add(figures, "receiver_cpu_fraction",
                meter_cpu(&sample->receiver.spent) / sample_wall(sample));
}
