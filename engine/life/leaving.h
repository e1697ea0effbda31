/* SPDX-License-Identifier: MIT */
/* The way out of a stream's life: its sink's end, the answer to its peer, the close. */
#ifndef LB_LEAVING_H
#define LB_LEAVING_H

#include "stream.h"

/* No receive is under way and nothing is held: the end is this one, unless the sink fails. */
void lb_leaving_begin(struct lb_stream *stream, const struct lb_verdict *verdict);

/* ENDING: tries the sink's end, once more. */
void lb_leaving_try(struct lb_stream *stream);

/* The sink is done with it, and its end, if it had one, has returned end_result: what the end is
 * is decided for good, and the peer is told. */
void lb_leaving_conclude(struct lb_stream *stream, int end_result);

/* ANSWERING: goes on, and closes it if there is nothing more to wait for. */
void lb_leaving_answer(struct lb_stream *stream);

/* Where every connection ends. One that was a stream comes here by the functions above. */
void lb_leaving_close(struct lb_stream *stream);

#endif
