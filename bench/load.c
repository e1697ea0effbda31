/* SPDX-License-Identifier: MIT */
/* The benchmark's sender, for receivers that are programs of their own. */
#include "clock.h"
#include "core.h"
#include "far_sender.h"
#include "gaps.h"
#include "options.h"
#include "payload.h"
#include "sender.h"
#include "serve.h"
#include "workloads.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "lastbyte-load --workload=NAME --to=HOST:PORT [options]\n"
    "lastbyte-load --server[=ADDR] [--token-file=FILE]\n"
    "Sends a benchmark's workload to a receiver, and says what that took as JSON; or has another\n"
    "host say what to send.\n\n";

static int refuse(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return -1;
}

static int make_plan(struct trial *trial, const struct options *options)
{
    const struct workload *workload = options->workloads ? workload_find(options->workloads) : NULL;

    if (!workload)
        return refuse(
            "--workload=NAME is needed: bulk, bulk-sendfile, fanin-64, fanin-1000, short, "
            "latency, file, dir, tls-bulk or tls-short");
    if (!options->to)
        return refuse("--to=HOST:PORT is needed");
    if (workload->demands & (DEMAND_IDLE | DEMAND_POOL))
        return refuse("--workload: idle and sweep need lastbyte-bench");
    trial_make(trial, workload, workload->params, options);
    return 0;
}

/* Seconds of it in which neither core had a processor; negative: not known. */
static double host_gap(struct gap_watch *watch, const struct sender *sender, uint64_t end_ns)
{
    gap_watch_stop(watch);
    return gaps_shared(&watch->watchers[0].gaps, &watch->watchers[1].gaps, sender->report->begin_ns,
                       end_ns);
}

static double core_cpu(const struct sender_report *report, const struct machine_time *after,
                       enum side side)
{
    return after->core_busy_s[side] - report->machine.core_busy_s[side];
}

static json_t *describe(const struct sender *sender, uint64_t end_ns, double host_gap_s, int rc)
{
    const struct sender_report *report = sender->report;
    const struct trial *trial = sender->trial;
    struct machine_time after = report->machine;
    double wall = sender->begun ? clock_seconds(end_ns - report->begin_ns) : 0;

    machine_time_read(&after, trial->cores);
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:s}",
                     "workload", trial->workload->name,                          /* */
                     "streams", (json_int_t)trial->streams,                      /* */
                     "bytes", (json_int_t)trial_bytes(trial), "wall_s", wall,    /* */
                     "cpu_s", meter_cpu(&report->spent),                         /* */
                     "user_s", report->spent.user_s,                             /* */
                     "system_s", report->spent.system_s,                         /* */
                     "system_cpu_s", after.busy_s - report->machine.busy_s,      /* */
                     "steal_s", after.steal_s - report->machine.steal_s,         /* */
                     "receiver_core_cpu_s", core_cpu(report, &after, RECEIVING), /* */
                     "sender_core_cpu_s", core_cpu(report, &after, SENDING),     /* */
                     "host_gap_s", host_gap_s,                                   /* */
                     "started_s", report->started_s,                             /* */
                     "ok", rc == 0, "why", report->why);
}

/* What goes with messages that are sent at a rate. */
static void describe_messages(json_t *object, const struct sender *sender)
{
    const struct histogram *lag = &sender->report->lag;

    if (sender->trial->rate == 0)
        return;
    json_object_set_new(object, "rate", json_integer(sender->trial->rate));
    json_object_set_new(object, "messages", json_integer((json_int_t)lag->count));
    json_object_set_new(object, "lag_p99_us",
                        json_real((double)histogram_percentile(lag, 99) / 1e3));
}

static int load(const struct trial *trial, const struct options *options)
{
    static struct sender_report report;
    static struct gap_watch watch;
    bool watched;
    struct sender sender;
    json_t *object;
    uint64_t end;
    int rc;

    if (sender_init(&sender, trial, &report, options->to) < 0) {
        fprintf(stderr, "--to=%s: %s\n", options->to, report.why);
        return 2;
    }
    sender.retry_ns = options->retry_ms * 1000000;
    sender.await = !options->no_await;
    watched = gap_watch_start(&watch, trial->cores) == 0;
    rc = sender_run(&sender);
    end = clock_now();
    object = describe(&sender, end, watched ? host_gap(&watch, &sender, end) : -1, rc);
    describe_messages(object, &sender);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    struct trial trial;

    options_init(&options);
    if (options_parse(&options, OPTIONS_LOAD, argc, argv) < 0)
        return 2;
    if (options.help) {
        fputs(usage, stdout);
        options_help(OPTIONS_LOAD);
        return 0;
    }
    if (options.server)
        return serve(options.server, options.token_file, (int)options.sender_core);
    if (options.ask)
        return far_sender_ask(options.ask, options.token_file);
    if (make_plan(&trial, &options) < 0)
        return 2;
    if (payload_open() < 0) {
        fputs("out of memory\n", stderr);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    if (core_pin(trial.cores[SENDING]) < 0) {
        fprintf(stderr, "--core=%d: this process can't use that core\n", trial.cores[SENDING]);
        return 2;
    }
    return load(&trial, &options);
}
