/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include "options.h"
#include "stamps.h"

#include <math.h>

enum { QUICK = 8, BYTES_A_SECOND_AT_LEAST = 16 << 20, LIMIT_AT_LEAST_S = 60 };

/* A whole number of writes, at least one. */
static uint64_t whole_writes(const struct plan *plan, uint64_t bytes)
{
    uint64_t size = plan->workload->write_size;

    if (bytes < size)
        return size;
    return bytes - bytes % size;
}

/* What follows from the sizes. */
static void settle(struct plan *plan)
{
    const struct workload *workload = plan->workload;

    if (plan->rate > 0) {
        double messages = ceil(plan->seconds * plan->rate / plan->streams);

        plan->stream_bytes = (uint64_t)fmax(messages, 1) * sizeof(struct stamped_message);
    }
    plan->at_once = workload->at_once ? workload->at_once : plan->streams;
    if (plan->at_once > plan->streams)
        plan->at_once = plan->streams;
    plan->limit_s = LIMIT_AT_LEAST_S + (unsigned)plan->seconds +
                    (unsigned)(plan_bytes(plan) / BYTES_A_SECOND_AT_LEAST);
}

static unsigned rate_of(const struct param *param, const struct options *options)
{
    unsigned rate = param ? param->rate : 0;

    return rate > 0 && options->rate > 0 ? (unsigned)options->rate : rate;
}

void plan_make(struct plan *plan, const struct workload *workload, const struct param *param,
               const struct options *options)
{
    bool streams_vary = workload->extent == BY_STREAMS || (workload->demands & DEMAND_IDLE);

    *plan = (struct plan){
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
        .receiver_core = (int)options->receiver_core,
        .sender_core = (int)options->sender_core,
        .directory = options->directory,
    };
    if (workload->extent == BY_BYTES) {
        uint64_t bytes = options->bytes ? options->bytes : workload->bytes;

        plan->stream_bytes = whole_writes(plan, bytes / plan->streams);
    } else if (workload->extent == BY_STREAMS) {
        /* A stream that is smaller than one write is that small on purpose. */
        bool fixed = workload->bytes < workload->write_size || !options->bytes;

        plan->stream_bytes =
            fixed ? workload->bytes : whole_writes(plan, options->bytes / plan->streams);
    }
    settle(plan);
    if (options->quick)
        plan_shrink(plan, QUICK);
}

void plan_shrink(struct plan *plan, unsigned divisor)
{
    switch (plan->workload->extent) {
    case BY_BYTES:
        plan->stream_bytes = whole_writes(plan, plan->stream_bytes / divisor);
        break;
    case BY_STREAMS:
        plan->streams = plan->streams / divisor ? plan->streams / divisor : 1;
        break;
    case BY_SECONDS:
        plan->seconds /= divisor;
        break;
    }
    settle(plan);
}
