/* SPDX-License-Identifier: MIT */
/* Ending: what is told once a stream's end is decided, and to whom. */
#ifndef LB_ENDING_H
#define LB_ENDING_H

#include "filter.h"

/* The connection's EOF has come: leaves the verdict eof if that is the stream's end. */
void lb_ending_judge(struct lb_stream *stream, struct lb_verdict *verdict);

/* The person, by a note: of an end that is not eof a few times a second, as strangers can cause
 * that as often as they like. */
void lb_ending_note(const struct lb_stream *stream);

/* The person, if that is asked for: of a connection that was no stream. */
void lb_ending_note_empty(const struct lb_stream *stream);

/* The person, of a peer that was turned away before it was a stream, or of one with a number that
 * reached no sink: strangers can cause that as often as they like. */
void lb_ending_note_refusal(const struct lb_stream *stream);

/* The person, once all have ended: of those that were not told. */
void lb_ending_note_rest(struct lb_door *door, struct lb_notes *notes);

/* The peer, by a receipt if senders get them, and by how the connection is closed. */
void lb_ending_answer(struct lb_stream *stream);

/* The peer that is turned away, at once. */
void lb_ending_turn_away(struct lb_stream *stream);

/* The peer of a connection without a stream, whose descriptor stays the caller's; and the person.
 */
void lb_ending_refuse(const struct lb_lane *lane, int fd, const struct lb_verdict *verdict);

#endif
