/* SPDX-License-Identifier: MIT */
/*
 * A stream's life. What happens to a stream comes in here, as an event, an alarm or a stop; helpers
 * say what that means, by steps and verdicts; what follows is decided here, and in leaving.c once
 * it ends. Nobody else writes a stream's state (states.h).
 *
 * All of it runs on the stream's lane. A stream may have been closed when a call returns.
 */
#ifndef LB_LIFE_H
#define LB_LIFE_H

#include "stream.h"

/* ---- a stream comes -------------------------------------------------------------------------- */

/* A connection has come. NULL when there is no place for it: it is still the caller's then. */
struct lb_stream *lb_life_accept(struct lb_lane *lane, const struct lb_arrival *arrival);

/* Its preludes begin; its place among those that do so is claimed. Once they are over it is in the
 * table's queue entered, PARKED. */
void lb_life_enter(struct lb_stream *stream);

/* PARKED: it is turned away, by what admission says, or by the program. */
void lb_life_refuse(struct lb_stream *stream, const struct lb_verdict *verdict);

/* Its place is claimed: it has its number, and the sink is opened. */
void lb_life_begin(struct lb_stream *stream);

/* Nobody will come for it any more: it is closed as if it had never been accepted. */
void lb_life_drop(struct lb_stream *stream);

/* ---- what happens to it ---------------------------------------------------------------------- */

/* The backend's events: a chunk; there is something to be had without waiting; the terminal one: 0
 * for EOF, else -errno. */
void lb_life_chunk(struct lb_stream *stream, const struct lb_chunk *chunk);
void lb_life_readable(struct lb_stream *stream);
void lb_life_terminal(struct lb_stream *stream, int error);

/* A descriptor that it watches may be ready. */
void lb_life_ready(struct lb_stream *stream);

/* Its sink, or its wire, may go on for another reason. */
void lb_life_wake(struct lb_stream *stream);

/* Its alarm has rung. */
void lb_life_alarm(struct lb_stream *stream, uint64_t now_ns);

/* Its sink's end has run on the committer, and returned end_result. */
void lb_life_committed(struct lb_stream *stream);

/* The lane's throttle is looked at. */
void lb_life_unthrottle(struct lb_lane *lane, uint64_t now_ns);

/* It ends now, unless its end is on its way already. */
void lb_life_stop(struct lb_stream *stream, const struct lb_verdict *verdict);

/* The backend is broken: nothing more will come from it, so that nothing is waited for. */
void lb_life_abandon(struct lb_stream *stream, int error);

#endif
