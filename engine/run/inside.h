/* SPDX-License-Identifier: MIT */
/* Who runs an engine: its own threads, or one of the program's for the time of a turn. */
#ifndef LB_INSIDE_H
#define LB_INSIDE_H

#include "engine.h"

/* The calling thread runs engine from now on, NULL: none. Returns which it ran before. */
const struct lb_engine *lb_inside_enter(const struct lb_engine *engine);

/* One of those that run it has done so to the end. */
void lb_inside_left(struct lb_engine *engine);

/* Ends that may block have their threads. 0 or -errno. */
int lb_inside_start_committer(struct lb_engine *engine);

/* The calling thread is one of these, which can't wait for themselves. */
bool lb_engine_is_inside(const struct lb_engine *engine);

/* Notes that function was called from there. -EDEADLK. */
int lb_engine_refuse_inside(struct lb_engine *engine, const char *function, const char *remedy);

#endif
