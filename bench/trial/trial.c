/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include "message.h"
#include "options.h"

#include <math.h>

enum { QUICK = 8, BYTES_A_SECOND_AT_LEAST = 16 << 20, LIMIT_AT_LEAST_S = 60 };

/* A whole number of writes, at least one. */
static uint64_t whole_writes(const struct trial *trial, uint64_t bytes)
{
    uint64_t size = trial->workload->write_size;

    if (bytes < size)
        return size;
    return bytes - bytes % size;
}

/* What follows from the sizes. */
static void settle(struct trial *trial)
{
    const struct workload *workload = trial->workload;

    if (trial->rate > 0) {
        double messages = ceil(trial->seconds * trial->rate / trial->streams);

        trial->stream_bytes = (uint64_t)fmax(messages, 1) * sizeof(struct message);
    }
    trial->at_once = workload->at_once ? workload->at_once : trial->streams;
    if (trial->at_once > trial->streams)
        trial->at_once = trial->streams;
    trial->timeout_s = LIMIT_AT_LEAST_S + (unsigned)trial->seconds +
                       (unsigned)(trial_bytes(trial) / BYTES_A_SECOND_AT_LEAST);
}

static unsigned rate_of(const struct param *param, const struct options *options)
{
    unsigned rate = param ? param->rate : 0;

    return rate > 0 && options->rate > 0 ? (unsigned)options->rate : rate;
}

void trial_make(struct trial *trial, const struct workload *workload, const struct param *param,
                const struct options *options)
{
    bool streams_vary = workload->extent == BY_STREAMS || (workload->demands & DEMAND_IDLE);

    *trial = (struct trial){
        .workload = workload,
        .streams =
            streams_vary && options->streams ? (unsigned)options->streams : workload->streams,
        .seconds = options->seconds_ms ? (double)options->seconds_ms / 1e3 : workload->seconds,
        .rate = rate_of(param, options),
        .slot_size = param ? param->slot_size : 0,
        .slots = param ? param->slots : 0,
        .gather_max_us = options->gather_max_us,
        .rcvbuf = options->rcvbuf,
        .congestion = options->congestion,
        .address = options->address,
        .receiver_net = options->receiver_net,
        .sender_net = options->sender_net,
        .receiver_core = (int)options->receiver_core,
        .sender_core = (int)options->sender_core,
        .directory = options->directory,
    };
    if (workload->extent == BY_BYTES) {
        uint64_t bytes = options->bytes ? options->bytes : workload->bytes;

        trial->stream_bytes = whole_writes(trial, bytes / trial->streams);
    } else if (workload->extent == BY_STREAMS) {
        /* A stream that is smaller than one write is that small on purpose. */
        bool fixed = workload->bytes < workload->write_size || !options->bytes;

        trial->stream_bytes =
            fixed ? workload->bytes : whole_writes(trial, options->bytes / trial->streams);
    }
    settle(trial);
    if (options->quick)
        trial_shrink(trial, QUICK);
}

void trial_shrink(struct trial *trial, unsigned divisor)
{
    switch (trial->workload->extent) {
    case BY_BYTES:
        trial->stream_bytes = whole_writes(trial, trial->stream_bytes / divisor);
        break;
    case BY_STREAMS:
        trial->streams = trial->streams / divisor ? trial->streams / divisor : 1;
        break;
    case BY_SECONDS:
        trial->seconds /= divisor;
        break;
    }
    settle(trial);
}
