/* SPDX-License-Identifier: MIT */
/* An engine in a program's own loop: one worker that is not a thread. What it waits for is behind
 * one descriptor: its backend's, its inbox, and a timer for its alarms. */
#ifndef LB_OWN_LOOP_H
#define LB_OWN_LOOP_H

#include "engine.h"

void lb_own_loop_init(struct lb_own_loop *loop);

/* The workers are open. 0, or -errno with error filled. */
int lb_own_loop_open(struct lb_engine *engine, struct lb_error *error);
void lb_own_loop_close(struct lb_own_loop *loop);

/* In the thread that runs it from then on. 0 or -errno. */
int lb_own_loop_start(struct lb_engine *engine);

/* The calling thread is the one that runs it. */
bool lb_own_loop_is_mine(const struct lb_engine *engine);

/* In there: runs it until it has ended, or for timeout_ms (negative: no limit). 0 or -ETIMEDOUT. */
int lb_own_loop_run(struct lb_engine *engine, int timeout_ms);

#endif
