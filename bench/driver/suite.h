/* SPDX-License-Identifier: MIT */
/* The benchmarks that were asked for: workloads times contenders times variants. */
#ifndef SUITE_H
#define SUITE_H

#include "figures.h"
#include "options.h"

#include <stddef.h>

struct suite;
struct suite_case;

/* Selects. *suite_out is the caller's (suite_close). Returns 0, or -1 after a line on standard
 * error that names what is unknown and what there is. Contenders that can't run here are left out
 * and named on standard error. options is borrowed until the close. */
int suite_open(struct suite **suite_out, const struct options *options);
void suite_close(struct suite *suite);

const struct options *suite_options(const struct suite *suite);

/* "libuv: not built in; plain-uring: ..." or "". */
const char *suite_missing(const struct suite *suite);

/* The index-th benchmark, or NULL past the last. */
struct suite_case *suite_at(struct suite *suite, size_t index);

/* WORKLOAD/CONTENDER[/PARAM][/control] */
const char *suite_case_name(const struct suite_case *chosen);

/* What a reader must not overlook, or "". */
const char *suite_case_label(const struct suite_case *chosen);

/* Names of the figures that say most, the first of all; ends with NULL. */
const char *const *suite_case_figures(const struct suite_case *chosen);

/* Runs it once. Returns 0, or -1 with why, which names the contender. */
enum { SUITE_WHY_SIZE = 400 };
int suite_case_run(struct suite_case *chosen, struct figures *figures, char why[SUITE_WHY_SIZE]);

/* Runs every one of them, comparing content; a line for each on standard output. Returns 0, or 1 if
 * something was wrong. */
int suite_verify(struct suite *suite);

#endif
