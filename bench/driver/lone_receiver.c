/* SPDX-License-Identifier: MIT */
#include "lone_receiver.h"

#include "contenders.h"
#include "core.h"
#include "files.h"
#include "payload.h"
#include "sample.h"
#include "workloads.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void say_ready(struct receiver *receiver)
{
    fprintf(stderr, "listening on %s\n", receiver->report->address);
}

static int make_plan(struct trial *trial, const struct options *options)
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
    trial_make(trial, workload, workload->params, options);
    trial->contender = contender;
    trial->verify = options->verify;
    trial->count_syscalls = false;
    return 0;
}

static void print(const struct sample *sample, bool ok)
{
    json_t *object = json_pack("{s:b, s:s, s:I, s:I, s:f, s:f, s:f, s:f}",                  /* */
                               "ok", ok, "why", sample->why,                                /* */
                               "bytes", (json_int_t)atomic_load(&sample->arrivals.bytes),   /* */
                               "streams", (json_int_t)atomic_load(&sample->arrivals.ended), /* */
                               "cpu_s", meter_cpu(&sample->receiver.spent),                 /* */
                               "user_s", sample->receiver.spent.user_s,                     /* */
                               "system_s", sample->receiver.spent.system_s,                 /* */
                               "rss_kib", sample->receiver.spent.rss_kib);

    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

static int receive(struct sample *sample, const struct trial *trial, const char *directory)
{
    struct receiver receiver;
    char why[200];

    arrivals_init(&sample->arrivals, trial->streams, trial->stream_bytes);
    receiver_init(&receiver, trial, &sample->arrivals, &sample->receiver);
    receiver.directory = directory;
    receiver.ready = say_ready;
    if (trial->contender->receive(trial->contender, &receiver) < 0)
        return sample_fail(sample, "%s", sample->receiver.why);
    if (sample->arrivals.wrong)
        return sample_fail(sample, "%s", sample->arrivals.why);
    if (!receiver_finished(&receiver))
        return sample_fail(sample, "some streams did not end");
    if (directory && files_check(directory, trial, why, sizeof(why)) < 0)
        return sample_fail(sample, "%s", why);
    return 0;
}

int lone_receiver_run(const struct options *options)
{
    char directory[PATH_MAX];
    struct sample *sample = sample_open();
    struct trial trial;
    bool files;
    int rc;

    if (!sample || payload_open() < 0 || make_plan(&trial, options) < 0) {
        sample_close(sample);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    core_pin(trial.cores[RECEIVING]);
    files = trial.workload->demands & DEMAND_FILES;
    rc = files ? files_make_directory(directory, trial.directory) : 0;
    if (rc < 0) {
        fprintf(stderr, "--dir=%s: %s\n", trial.directory, strerror(-rc));
        sample_close(sample);
        return 2;
    }
    rc = receive(sample, &trial, files ? directory : NULL);
    print(sample, rc == 0);
    if (files)
        files_remove(directory);
    sample_close(sample);
    return rc == 0 ? 0 : 1;
}
