/* SPDX-License-Identifier: MIT */
/*
 * A receipt: the one line that a sender gets after its stream's end, and what giving it takes.
 *
 *     ok BYTES ALGO:DIGEST ID       the sink holds every byte safely
 *     error REASON BYTES            it does not; so many bytes it has taken
 *
 * Giving never waits: what the peer does not take at once is offered again when its connection is
 * ready, within a bound. After an error the peer may still be sending. What it sends is received and
 * dropped for a bounded while, until its EOF, as a close before that would be a reset, which can
 * destroy the line on its way.
 */
#ifndef LB_RECEIPT_H
#define LB_RECEIPT_H

#include "digest.h"

#include <lastbyte/lastbyte.h>

struct lb_engine;

/* A stream's part; zeroed before it begins. */
struct lb_receipt {
    struct lb_digest digest; /* of what the sink has taken; not open: no receipt is to be given */
    char *rest;              /* of the line, which did not fit the socket; or NULL */
    size_t rest_size;
    uint64_t until_ns; /* when patience ends */
    uint64_t dropped;  /* bytes */
    bool mid_line;     /* what the peer was told so far does not end in a newline */
    bool watching;     /* its connection */
    bool draining;     /* the line and our EOF are sent */
    bool given;        /* the peer has what it needs to know the end: a plain close is right */
};

/* Senders of this engine get receipts. */
bool lb_receipt_wanted(const struct lb_engine *engine);

/* The stream begins. Returns 0 or -ENOMEM; 0 too if no receipts are wanted. */
int lb_receipt_open(struct lb_stream *stream);

/* The sink has taken these bytes. Returns 0 or -EIO. */
int lb_receipt_add(struct lb_stream *stream, const void *data, size_t size);

/* The peer was told something before the receipt, which is a line of its own. */
void lb_receipt_follow(struct lb_stream *stream, const void *told, size_t size);

/* The stream's end is decided for good: tells the peer. Returns true if nothing is left to do; else
 * lb_receipt_go_on is to be called when the connection is ready, and when patience ends. */
bool lb_receipt_give(struct lb_stream *stream, bool patient);
bool lb_receipt_go_on(struct lb_stream *stream);

/* Gives up what is left to do. For any stream, whatever was called before. */
void lb_receipt_close(struct lb_stream *stream);

/* Tells a peer that never became a stream why; best effort. Its connection is the caller's to
 * close. why may be NULL. Nothing happens if no receipts are wanted. */
void lb_receipt_refuse(const struct lb_engine *engine, int fd, enum lb_end end, const char *why);

#endif
