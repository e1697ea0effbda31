/* SPDX-License-Identifier: MIT */
/* A sink as a program hands it in: of a size of its own, and perhaps wrong. */
#ifndef LB_GIVEN_SINK_H
#define LB_GIVEN_SINK_H

#include "error.h"

/* Is it one that an engine takes? Returns 0, or -EINVAL with what is wrong in error. */
int lb_given_sink_check(const struct lb_sink *sink, struct lb_error *error);

/* Takes given, whatever its size; take checks it, too. Returns 0, or -errno with what is wrong in
 * error. */
int lb_given_sink_copy(struct lb_sink *sink, const struct lb_sink *given, struct lb_error *error);
int lb_given_sink_take(struct lb_sink *sink, const struct lb_sink *given, struct lb_error *error);

/* Fills given, which was taken. Returns 0, or -E2BIG if it is too short for what sink has. */
int lb_given_sink_give(struct lb_sink *given, const struct lb_sink *sink, struct lb_error *error);

#endif
