/* SPDX-License-Identifier: MIT */
/* What a suite is made of, for the files that are the suite. */
#ifndef SUITE_PRIVATE_H
#define SUITE_PRIVATE_H

#include "run.h"
#include "suite.h"

struct suite_case {
    char name[128];
    struct plan plan;
    struct run *run;     /* the suite's: one runs at a time */
    bool count_syscalls; /* not done yet */
    struct figures syscalls;
};

struct suite {
    const struct options *options;
    struct run *run;
    bool *available; /* for each contender of the table */
    struct suite_case *cases;
    size_t count;
    char missing[2048];
};

#endif
