/* SPDX-License-Identifier: MIT */
#include "receive.h"

#include "core.h"
#include "files.h"
#include "payload.h"
#include "run.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void say_ready(struct receiver *receiver)
{
    fprintf(stderr, "listening on %s\n", receiver->report->address);
}

static int make_plan(struct plan *plan, const struct options *options)
{
    const struct contender *contender = contender_find(options->receive);
    const struct workload *workload = options->workloads ? workload_find(options->workloads) : NULL;
    char text[256];
    const char *why;

    if (!contender) {
        fprintf(stderr, "--receive=%s: there is no such contender; see --list\n", options->receive);
        return -1;
    }
    if (!workload || !contender_serves(contender, workload)) {
        fprintf(stderr, "--receive=%s needs --workload=NAME, one that it can serve; see --list\n",
                options->receive);
        return -1;
    }
    why = contender_missing(contender, text, sizeof(text));
    if (why) {
        fprintf(stderr, "--receive=%s: %s\n", options->receive, why);
        return -1;
    }
    plan_make(plan, workload, workload->params, options);
    plan->contender = contender;
    plan->verify = options->verify;
    plan->count_syscalls = false;
    return 0;
}

static void print(const struct run *run, bool ok)
{
    json_t *object = json_pack("{s:b, s:s, s:I, s:I, s:f, s:f, s:f, s:f}",             /* */
                               "ok", ok, "why", run->why,                              /* */
                               "bytes", (json_int_t)atomic_load(&run->ledger.bytes),   /* */
                               "streams", (json_int_t)atomic_load(&run->ledger.ended), /* */
                               "cpu_s", meter_cpu(&run->receiver.spent),               /* */
                               "user_s", run->receiver.spent.user_s,                   /* */
                               "system_s", run->receiver.spent.system_s,               /* */
                               "rss_kib", run->receiver.spent.rss_kib);

    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

static int receive(struct run *run, const struct plan *plan, const char *directory)
{
    struct receiver receiver;
    char why[200];

    ledger_init(&run->ledger, plan->streams, plan->stream_bytes);
    receiver_init(&receiver, plan, &run->ledger, &run->receiver);
    receiver.directory = directory;
    receiver.ready = say_ready;
    if (plan->contender->receive(plan->contender, &receiver) < 0)
        return run_fail(run, "%s", run->receiver.why);
    if (run->ledger.wrong)
        return run_fail(run, "%s", run->ledger.why);
    if (!receiver_finished(&receiver))
        return run_fail(run, "some streams did not end");
    if (directory && files_check(directory, plan, why, sizeof(why)) < 0)
        return run_fail(run, "%s", why);
    return 0;
}

int receive_alone(const struct options *options)
{
    char directory[PATH_MAX];
    struct run *run = run_open();
    struct plan plan;
    bool files;
    int rc;

    if (!run || payload_open() < 0 || make_plan(&plan, options) < 0) {
        run_close(run);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    core_pin(plan.receiver_core);
    files = plan.workload->demands & DEMAND_FILES;
    rc = files ? files_make_directory(directory, plan.directory) : 0;
    if (rc < 0) {
        fprintf(stderr, "--dir=%s: %s\n", plan.directory, strerror(-rc));
        run_close(run);
        return 2;
    }
    rc = receive(run, &plan, files ? directory : NULL);
    print(run, rc == 0);
    if (files)
        files_remove(directory);
    run_close(run);
    return rc == 0 ? 0 : 1;
}
