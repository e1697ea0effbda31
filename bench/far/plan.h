/* SPDX-License-Identifier: MIT */
/* A trial's sending side, on its way to another host; and what came of it, on its way back. */
#ifndef PLAN_H
#define PLAN_H

#include "interface.h"
#include "sender.h"
#include "trial.h"

#include <jansson.h>

enum { PLAN_TO_SIZE = 64, PLAN_CONGESTION_SIZE = 16 };

/* What a host is asked to send. */
struct plan {
    struct trial trial;
    char to[PLAN_TO_SIZE]; /* the receiver */
    char congestion[PLAN_CONGESTION_SIZE];
    int64_t ahead_ns; /* the receiver's clock of the sender's */
};

json_t *plan_write(const struct trial *trial, const char *to, int64_t ahead_ns);

/* Reads and checks; it is sent from this core. Returns 0, or -1 with *why. */
int plan_read(struct plan *plan, const json_t *object, int core, const char **why);

/* What the sender's process has told, and what passed on its host meanwhile. */
json_t *report_write(const struct sender_report *report, const struct machine_time *after,
                     const struct losses *before, const struct losses *then);

/* Reads into report, with the sender's times in the receiver's clock. Returns 0, or -1 with the
 * report's why. */
int report_read(struct sender_report *report, const json_t *object, int64_t ahead_ns);

#endif
