/* SPDX-License-Identifier: MIT */
/* The text format of Prometheus (version 0.0.4): each metric's help and type stand before it, once,
 * and all that is its own follows. */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>

/* A label's value, with what the format escapes. */
static void write_value(FILE *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            putc(*value, out);
    }
}

static void begin(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP lastbyte_%s %s\n# TYPE lastbyte_%s %s\n", name, help, name, type);
}

static void write_one(FILE *out, const char *name, const char *type, const char *help, double value)
{
    begin(out, name, type, help);
    fprintf(out, "lastbyte_%s %.15g\n", name, value);
}

static void write_build(FILE *out, const struct lb_engine *engine)
{
    begin(out, "build_info", "gauge", "1; what this is.");
    fprintf(out, "lastbyte_build_info{version=\"%s\",backend=\"%s\"} 1\n", lb_version(),
            lb_engine_backend(engine));
}

static void write_stats(FILE *out, const struct lb_engine *engine)
{
    struct lb_stats stats = {LB_STATS_INIT};

    lb_engine_stats(engine, &stats);
    write_one(out, "accepted_total", "counter", "Connections taken from the backlog.",
              (double)stats.accepted);
    write_one(out, "empty_total", "counter",
              "Of them, those without a byte, which are no streams (--ignore-empty).",
              (double)stats.empty);
    write_one(out, "active_streams", "gauge", "Streams under way.", (double)stats.active);
    write_one(out, "handshaking_peers", "gauge", "Peers whose handshakes run.",
              (double)stats.handshaking);
    write_one(out, "received_bytes_total", "counter", "Bytes taken by the sink.",
              (double)stats.bytes);
    write_one(out, "receives_total", "counter", "Chunks handed to the sink.",
              (double)stats.receives);
    write_one(out, "waits_total", "counter", "Times that a worker asked for events.",
              (double)stats.waits);
    write_one(out, "cpu_seconds_total", "counter",
              "Processor time of the threads that receive, and that finish streams.",
              stats.cpu_seconds);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

static void write_stream(void *context, const struct lb_outcome *outcome)
{
    FILE *out = context;

    if (!outcome->stream || outcome->refused)
        return;
    fprintf(out, "lastbyte_streams_total{end=\"%s\",reason=\"", lb_end_name(outcome->end));
    write_value(out, outcome->reason);
    fprintf(out, "\"} %" PRIu64 "\n", outcome->count);
}

static void write_refused(void *context, const struct lb_outcome *outcome)
{
    FILE *out = context;

    if (!outcome->refused)
        return;
    fprintf(out, "lastbyte_refused_total{end=\"%s\",reason=\"", lb_end_name(outcome->end));
    write_value(out, outcome->reason);
    fprintf(out, "\",stream=\"%s\"} %" PRIu64 "\n", outcome->stream ? "yes" : "no", outcome->count);
}

static void write_outcomes(FILE *out, const struct lb_engine *engine)
{
    begin(out, "streams_total", "counter",
          "Streams that ended; only those that ended eof are "
          "complete.");
    lb_engine_outcomes(engine, write_stream, out);
    begin(out, "refused_total", "counter", "Peers that were turned away.");
    lb_engine_outcomes(engine, write_refused, out);
}

/* ---- workers --------------------------------------------------------------------------------- */

static double busy(const struct lb_worker_stats *stats)
{
    return stats->cpu_seconds;
}

static double gather(const struct lb_worker_stats *stats)
{
    return (double)stats->gather_us / 1e6;
}

static double streams(const struct lb_worker_stats *stats)
{
    return (double)stats->streams;
}

static double bytes(const struct lb_worker_stats *stats)
{
    return (double)stats->bytes;
}

static double slots(const struct lb_worker_stats *stats)
{
    return stats->slots;
}

static double slots_used(const struct lb_worker_stats *stats)
{
    return stats->slots_used;
}

static double starved(const struct lb_worker_stats *stats)
{
    return (double)stats->starved;
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct lb_worker_stats *stats);
} of_workers[] = {
    {"worker_busy_seconds_total", "counter",
     "Processor time of a worker; its rate is the share of a core that it is busy.", busy},
    {"worker_gather_seconds", "gauge", "How long a worker lets bytes gather now; 0: not at all.",
     gather},
    {"worker_streams", "gauge", "Connections of a worker.", streams},
    {"worker_received_bytes_total", "counter", "Bytes taken by the sink from a worker.", bytes},
    {"worker_slots", "gauge", "Slots in the pool of a worker.", slots},
    {"worker_slots_used", "gauge", "Of them, those with streams or with the backend.", slots_used},
    {"worker_starved_total", "counter", "Times that data waited because every slot was in use.",
     starved},
};

static void write_workers(FILE *out, const struct lb_engine *engine)
{
    for (size_t i = 0; i < sizeof(of_workers) / sizeof(of_workers[0]); i++) {
        struct lb_worker_stats stats = {LB_WORKER_STATS_INIT};

        begin(out, of_workers[i].name, of_workers[i].type, of_workers[i].help);
        for (unsigned worker = 0; lb_engine_worker_stats(engine, worker, &stats) == 0; worker++)
            fprintf(out, "lastbyte_%s{worker=\"%u\"} %.15g\n", of_workers[i].name, worker,
                    of_workers[i].value(&stats));
    }
}

/* ---- timings --------------------------------------------------------------------------------- */

static void write_timing(FILE *out, const struct lb_timing *timing)
{
    uint64_t below = 0;

    fprintf(out, "# HELP lastbyte_%s_seconds Time %s.\n# TYPE lastbyte_%s_seconds histogram\n",
            timing->name, timing->help, timing->name);
    for (size_t i = 0; i < timing->limit_count && i + 1 < LB_TIMING_MAX; i++) {
        below += timing->counts[i];
        fprintf(out, "lastbyte_%s_seconds_bucket{le=\"%.9g\"} %" PRIu64 "\n", timing->name,
                timing->limits[i], below);
    }
    below += timing->counts[timing->limit_count];
    fprintf(out,
            "lastbyte_%s_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n"
            "lastbyte_%s_seconds_sum %.9f\n"
            "lastbyte_%s_seconds_count %" PRIu64 "\n",
            timing->name, below, timing->name, timing->sum_seconds, timing->name, below);
}

void metrics_write(FILE *out, const struct lb_engine *engine)
{
    struct lb_timing timing = {LB_TIMING_INIT};

    write_build(out, engine);
    write_stats(out, engine);
    write_outcomes(out, engine);
    write_workers(out, engine);
    for (size_t i = 0; lb_engine_timing(engine, i, &timing) == 0; i++)
        write_timing(out, &timing);
    fputs("# EOF\n", out);
}
