/* SPDX-License-Identifier: MIT */
#include "far_sender.h"

#include "clock.h"
#include "control.h"
#include "facts.h"
#include "plan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { CLOCK_ROUNDS = 32 };

/* How far this host's CLOCK_MONOTONIC is ahead of the other one's, and how wrong that may be. */
struct clock_ahead {
    int64_t ns, error_ns;
};

/* The quickest of some answers tells best: the other clock was read somewhere within it. */
static int compare_clocks(struct control *control, struct clock_ahead *ahead)
{
    *ahead = (struct clock_ahead){.error_ns = INT64_MAX};
    for (int i = 0; i < CLOCK_ROUNDS; i++) {
        int64_t before = (int64_t)clock_now(), half;
        json_t *answer =
            control_ask(control, json_pack("{s:s}", "do", "clock"), CONTROL_PATIENCE_MS);
        int64_t after = (int64_t)clock_now();
        json_int_t theirs = 0;
        int rc = answer ? json_unpack(answer, "{s:I}", "clock_ns", &theirs) : -1;

        json_decref(answer);
        if (rc < 0)
            return answer ? control_fail(control, "it tells no time") : -1;
        half = (after - before + 1) / 2;
        if (half < ahead->error_ns)
            *ahead = (struct clock_ahead){before + half - theirs, half};
    }
    return 0;
}

static int have_sent(struct control *control, const struct trial *trial,
                     struct sender_report *report, const char *address)
{
    struct interface interface;
    struct losses before, after;
    struct clock_ahead ahead;
    json_t *answer;
    int rc;

    if (compare_clocks(control, &ahead) < 0)
        return -1;
    interface_of(control->fd, &interface);
    losses_read(&before, &interface);
    machine_time_read(&report->machine, trial->cores);
    answer = control_ask(
        control,
        json_pack("{s:s, s:o}", "do", "send", "plan", plan_write(trial, address, ahead.ns)),
        (int)trial->timeout_s * 1000);
    if (!answer)
        return -1;
    losses_read(&after, &interface);
    report->far = (struct sender_far){
        .there = true,
        .clock_error_us = (double)ahead.error_ns / 1e3,
        .receiver_dropped = (double)(after.dropped - before.dropped),
    };
    rc = report_read(report, answer, ahead.ns);
    json_decref(answer);
    return rc < 0 ? control_fail(control, "%s", report->why) : 0;
}

int far_sender_run(const struct trial *trial, struct sender_report *report, const char *address)
{
    struct control control;
    struct token token;
    int rc;

    if (token_read(&token, trial->token_file) < 0) {
        snprintf(report->why, sizeof(report->why), "no token");
        return -1;
    }
    rc = control_open(&control, trial->far, &token);
    if (rc == 0)
        rc = have_sent(&control, trial, report, address);
    if (rc < 0)
        snprintf(report->why, sizeof(report->why), "--sender=%.80s: %.150s", trial->far,
                 control.why);
    control_done(&control);
    return rc;
}

static int tell(struct control *control)
{
    struct interface interface;
    struct clock_ahead ahead;
    char address[INET_ADDRSTRLEN];
    json_t *there, *all;

    if (compare_clocks(control, &ahead) < 0)
        return -1;
    there = control_ask(control, json_pack("{s:s}", "do", "facts"), CONTROL_PATIENCE_MS);
    if (!there)
        return -1;
    interface_of(control->fd, &interface);
    inet_ntop(AF_INET, &interface.address, address, sizeof(address));
    all = json_pack("{s:s, s:s, s:f, s:f, s:o, s:o}", "version", BENCH_VERSION, "address", address,
                    "clock_ahead_us", (double)ahead.ns / 1e3, "clock_error_us",
                    (double)ahead.error_ns / 1e3, "here", facts_gather(&interface), "there", there);
    json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(all);
    return 0;
}

int far_sender_ask(const char *server, const char *token_file)
{
    struct control control;
    struct token token;
    int rc;

    if (token_read(&token, token_file) < 0)
        return 2;
    rc = control_open(&control, server, &token);
    if (rc == 0)
        rc = tell(&control);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", server, control.why);
    control_done(&control);
    return rc < 0 ? 1 : 0;
}
