/* SPDX-License-Identifier: MIT */
/* Messages of one size on some streams in turn, flat out or at a rate: a point of the map. */
#include "clock.h"
#include "figures.h"
#include "payload.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <sys/prctl.h>

int map_send(const struct trial *trial, struct sender *sender)
{
    uint64_t messages = trial_bytes(trial) / trial->write_size, begin;
    int *fds;
    int rc = 0;

    if (!trial->rate)
        return fanin_send(trial, sender);
    prctl(PR_SET_TIMERSLACK, 1);
    fds = sender_connect_all(sender);
    if (!fds)
        return -1;
    begin = clock_now();
    for (uint64_t i = 0; rc == 0 && i < messages; i++) {
        unsigned stream = (unsigned)(i % trial->streams);
        uint64_t sent = i / trial->streams * trial->write_size;

        sender_wait_until(begin + i * NS_PER_S / trial->rate);
        rc = sender_send(sender, fds[stream], payload_at(payload_phase(stream) + sent),
                         trial->write_size);
    }
    return sender_finish_all(sender, fds) < 0 ? -1 : rc;
}

void map_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    (void)sample;
    figures_add(figures, "message_bytes", (double)trial->write_size);
    figures_add(figures, "rate", trial->rate);
}
