/* SPDX-License-Identifier: MIT */
/* Ways: how a piece of a stream's bytes comes from its socket to its session, in chunks, by splice
 * or into memory of the sink's. Each moves one piece and says how it went on; what follows from
 * that is decided in life.c. */
#ifndef LB_WAYS_H
#define LB_WAYS_H

#include "filter.h"

enum lb_step {
    LB_STEP_ON,    /* the next piece may come */
    LB_STEP_PAUSE, /* the sink has to make room first */
    LB_STEP_OVER,  /* the verdict says how the stream ends */
};

/* The connection is readable. Has a first byte come? It stays there. If not, verdict says why: that
 * there is nothing yet (-EAGAIN), or how the connection has ended. */
bool lb_way_is_begun(const struct lb_stream *stream, struct lb_verdict *verdict);

/* The stream's session is open: chooses the way of its first piece. Returns true, or false with the
 * verdict. */
bool lb_way_begin(struct lb_stream *stream, struct lb_verdict *verdict);

/* Offers what was read of it before it came here. */
enum lb_step lb_way_first(struct lb_stream *stream, struct lb_verdict *verdict);

/* Offers the rest of the held chunk, and gives it back once it is taken. */
enum lb_step lb_way_chunk(struct lb_stream *stream, struct lb_verdict *verdict);

/* Splices a piece, or receives one into the sink's memory; the connection is readable. *size is
 * what came. */
enum lb_step lb_way_splice(struct lb_stream *stream, size_t *size, struct lb_verdict *verdict);
enum lb_step lb_way_place(struct lb_stream *stream, size_t *size, struct lb_verdict *verdict);

/* Lets go of what a paused stream holds. */
void lb_way_release(struct lb_stream *stream);

#endif
