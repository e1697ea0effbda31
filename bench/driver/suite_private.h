/* SPDX-License-Identifier: MIT */
/* What a suite is made of, for the files that are the suite. */
#ifndef SUITE_PRIVATE_H
#define SUITE_PRIVATE_H

#include "sample.h"
#include "schedule.h"
#include "suite.h"
#include "trial.h"

struct suite_case {
    char name[128];
    struct trial trial;
    struct sample *sample;     /* the suite's: one is taken at a time */
    struct schedule *schedule; /* likewise */
    const char *latencies;     /* a file for them, or NULL */
    bool count_syscalls;       /* not done yet */
    struct figures syscalls;
};

struct suite {
    const struct options *options;
    struct sample *sample;
    struct schedule *schedule;
    bool *available; /* for each contender of the table */
    struct suite_case *cases;
    size_t count;
    char missing[2048];
};

#endif
