/* SPDX-License-Identifier: MIT */
/* Ending: how a stream comes to its one end. The sink hears of it, on the committer if that may
 * take long, then the peer by a receipt, then the connection is closed. All but lb_ending_commit
 * and lb_ending_settle run on the stream's worker. */
#ifndef LB_ENDING_H
#define LB_ENDING_H

#include "stream.h"

/* No receive is under way and nothing is held: the end is this one, unless the sink fails. */
void lb_ending_begin(struct lb_stream *stream, enum lb_end end, int error);

/* It ends before the sink has opened it. */
void lb_ending_unopened(struct lb_stream *stream, enum lb_end end, int error);

/* Turns away a peer that is parked: no sink hears of it. why is a static string. */
void lb_ending_refuse(struct lb_stream *stream, const char *why);

/* ENDING: asks the sink again. */
void lb_ending_try(struct lb_stream *stream);

/* ANSWERING: goes on with the receipt. */
void lb_ending_answer(struct lb_stream *stream);

/* On the committer's thread: runs the sink's end and returns its result. */
int lb_ending_commit(struct lb_stream *stream);

/* On the committer's thread: runs the sink's settle for streams of one engine, and returns its
 * result. */
int lb_ending_settle(struct lb_stream *const *streams, size_t count);

/* Back from the committer. */
void lb_ending_committed(struct lb_stream *stream);

#endif
