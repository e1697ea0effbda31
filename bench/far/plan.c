/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include "workloads.h"

#include <stdio.h>
#include <string.h>

enum { STREAMS_MAX = 1000000, RATE_MAX = 10000000, SECONDS_MAX = 3600, WRITE_SIZE_MAX = 1 << 30 };

static const json_int_t stream_bytes_max = (json_int_t)1 << 50;

json_t *plan_write(const struct trial *trial, const char *to, int64_t ahead_ns)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:f, s:i, s:I}", /* */
                     "workload", trial->workload->name, "to", to,          /* */
                     "congestion", trial->congestion,                      /* */
                     "stream_bytes", (json_int_t)trial->stream_bytes, "write_size",
                     (json_int_t)trial->write_size,                       /* */
                     "streams", (int)trial->streams,                      /* */
                     "at_once", (int)trial->at_once,                      /* */
                     "seconds", trial->seconds, "rate", (int)trial->rate, /* */
                     "clock_ahead_ns", (json_int_t)ahead_ns);
}

int plan_read(struct plan *plan, const json_t *object, int core, const char **why)
{
    const char *workload, *to, *congestion;
    json_int_t bytes, write_size, ahead;
    int streams, at_once, rate;
    double seconds;

    *why = "the plan is not one";
    if (json_unpack((json_t *)object, "{s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:F, s:i, s:I}", /* */
                    "workload", &workload, "to", &to, "congestion", &congestion,            /* */
                    "stream_bytes", &bytes, "write_size", &write_size, "streams", &streams,
                    "at_once", &at_once, /* */
                    "seconds", &seconds, "rate", &rate, "clock_ahead_ns", &ahead) < 0)
        return -1;
    if (bytes < 0 || bytes > stream_bytes_max || write_size < 1 || write_size > WRITE_SIZE_MAX ||
        streams < 1 || streams > STREAMS_MAX || at_once < 1 || at_once > streams || rate < 0 ||
        rate > RATE_MAX || !(seconds >= 0 && seconds <= SECONDS_MAX) ||
        strlen(to) >= sizeof(plan->to) || strlen(congestion) >= sizeof(plan->congestion))
        return -1;
    *plan = (struct plan){.ahead_ns = ahead};
    strcpy(plan->to, to);
    strcpy(plan->congestion, congestion);
    plan->trial = (struct trial){
        .workload = workload_find(workload),
        .stream_bytes = (uint64_t)bytes,
        .write_size = (size_t)write_size,
        .streams = (unsigned)streams,
        .at_once = (unsigned)at_once,
        .seconds = seconds,
        .rate = (unsigned)rate,
        .congestion = plan->congestion,
        .cores = {core, core},
    };
    *why = "such a workload is not sent from another host";
    return plan->trial.workload && !(plan->trial.workload->demands & DEMAND_IDLE) ? 0 : -1;
}
