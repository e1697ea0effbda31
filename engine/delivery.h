/* SPDX-License-Identifier: MIT */
/* Delivery: how a stream's bytes reach the sink. All of it runs on the stream's worker. */
#ifndef LB_DELIVERY_H
#define LB_DELIVERY_H

#include "stream.h"

/* Opens the sink and begins to receive. The stream may have ended when this returns. */
void lb_delivery_begin(struct lb_stream *stream);

/* The backend delivered a chunk. */
void lb_delivery_chunk(struct lb_stream *stream, const struct lb_chunk *chunk);

/* What the stream's peer has sent can be had without waiting. */
void lb_delivery_readable(struct lb_stream *stream);

/* The backend's terminal event: 0 for EOF, else -errno. */
void lb_delivery_terminal(struct lb_stream *stream, int error);

/* A descriptor that the sink watches may be ready. */
void lb_delivery_ready(struct lb_stream *stream);

/* Ends the stream now, unless its end is on its way already. */
void lb_delivery_stop(struct lb_stream *stream, enum lb_end end, int error);

/* A throttled stream may be received from again. */
void lb_delivery_resume(struct lb_stream *stream);

/* A sweep of the worker's looks at the stream; see lb_limits_judge. */
void lb_delivery_sweep(struct lb_stream *stream, uint64_t elapsed_ns, uint64_t now_ns);

/* The stream passed a limit: ends it now, unless its end is on its way already. */
void lb_delivery_break(struct lb_stream *stream, const struct lb_breach *breach);

#endif
