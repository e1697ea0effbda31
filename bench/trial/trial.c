/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include "options.h"

#include <math.h>
#include <netinet/in.h>

enum { QUICK = 8, BYTES_A_SECOND_AT_LEAST = 16 << 20, LIMIT_AT_LEAST_S = 60 };

/* A whole number of writes, at least one. */
static uint64_t whole_writes(const struct trial *trial, uint64_t bytes)
{
    uint64_t size = trial->write_size;

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

        trial->stream_bytes = (uint64_t)fmax(messages, 1) * trial->write_size;
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

static unsigned streams_of(const struct workload *workload, const struct param *param,
                           const struct options *options)
{
    bool vary = workload->extent == BY_STREAMS || (workload->demands & DEMAND_IDLE);

    if (vary && options->streams)
        return (unsigned)options->streams;
    return param && param->streams ? param->streams : workload->streams;
}

static uint64_t bytes_of(const struct workload *workload, const struct param *param,
                         const struct options *options)
{
    if (options->bytes)
        return options->bytes;
    return param && param->bytes ? param->bytes : workload->bytes;
}

void trial_make(struct trial *trial, const struct workload *workload, const struct param *param,
                const struct options *options)
{
    *trial = (struct trial){
        .workload = workload,
        .streams = streams_of(workload, param, options),
        .write_size = param && param->write_size ? param->write_size : workload->write_size,
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
        .far = options->sender,
        .token_file = options->token_file,
        .cores = {[RECEIVING] = (int)options->receiver_core, [SENDING] = (int)options->sender_core},
        .directory = options->directory,
    };
    if (workload->extent == BY_BYTES) {
        trial->stream_bytes =
            whole_writes(trial, bytes_of(workload, param, options) / trial->streams);
    } else if (workload->extent == BY_STREAMS) {
        /* A stream that is smaller than one write is that small on purpose. */
        bool fixed = workload->bytes < trial->write_size || !options->bytes;

        trial->stream_bytes =
            fixed ? workload->bytes : whole_writes(trial, options->bytes / trial->streams);
    }
    settle(trial);
    if (options->quick)
        trial_shrink(trial, QUICK);
}

int trial_protocol(const struct trial *trial)
{
    bool mptcp = trial->contender && trial->contender->change == CHANGE_MPTCP;

    return mptcp ? IPPROTO_MPTCP : IPPROTO_TCP;
}

void trial_shrink(struct trial *trial, unsigned divisor)
{
    switch (trial->workload->extent) {
    case BY_BYTES:
        if (trial->rate > 0)
            trial->seconds /= divisor;
        else
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
