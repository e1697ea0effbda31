/* SPDX-License-Identifier: MIT */
#ifndef REPORT_H
#define REPORT_H

#include <lastbyte/lastbyte.h>

/* What a run of the engine came to, on standard error. wall_seconds is from start to end. */
void report_text(const struct lb_stats *stats, double wall_seconds);

/* One object on one line. Returns 0 or -ENOMEM. */
int report_json(const struct lb_stats *stats, double wall_seconds);

#endif
