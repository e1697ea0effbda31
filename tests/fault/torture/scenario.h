/* SPDX-License-Identifier: MIT */
/* A short life of an engine: opened, three peers, closed, and everything looked at. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "shim.h"

enum { SCENARIO_PEERS = 3 };

struct scenario {
    const char *backend;
    bool over_unix;
    const char *sink;      /* discard, file, dir, exec or stdout */
    bool direct;           /* file, dir: written past the page cache */
    const char *directory; /* empty */
};

struct outcome {
    bool began;        /* the engine was opened and started */
    unsigned complete; /* streams whose peers may rely on it: by a receipt where there are any */
    bool broken;       /* a promise was broken: */
    char why[300];
    char note[300]; /* the last warning of the engine; for failures */
};

/* Runs it under the plan, in the calling process, which it leaves in no state to go on. */
void scenario_run(const struct scenario *scenario, const struct shim_plan *plan,
                  struct shim_report *report, struct outcome *outcome);

/* What a run has to look at its results, in results.c. */
struct run {
    const struct scenario *scenario;
    struct outcome *outcome;
    unsigned claims;                   /* streams whose sink said that all is safe, */
    unsigned long ids[SCENARIO_PEERS]; /* and which */
    unsigned proven;                   /* peers with a receipt */
    char *output;                      /* of the sink stdout */
    unsigned long output_size;
};

/* Notes the first promise that was broken. */
void scenario_break(struct outcome *outcome, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How many bytes the peer of that tag sends; 0 if there is none. */
unsigned long scenario_size(const struct scenario *scenario, unsigned long tag);

/* Every stream that was claimed is whole where its sink has put it. */
void results_check(struct run *run);

#endif
