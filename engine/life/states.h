/* SPDX-License-Identifier: MIT */
/* The steps that a stream's state may take: each stands in one table and is asserted, and
 * ARCHITECTURE.md draws it. Only life.c and leaving.c take one. */
#ifndef LB_STATES_H
#define LB_STATES_H

#include "stream.h"

/* The only place where a stream's state is written. */
void lb_state_move(struct lb_stream *stream, enum lb_stream_state state);

/* The steps that were taken so far in this process, in builds with assertions: a bit for each state
 * that one led to. For tests. */
unsigned lb_state_steps_taken(enum lb_stream_state from);
unsigned lb_state_steps_allowed(enum lb_stream_state from);

#endif
