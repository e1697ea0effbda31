/* SPDX-License-Identifier: MIT */
/*
 * The wire: the way back to the peer. Greeting, answer, receipt, refusal, shutdown, drain and reset
 * go through it and nothing else writes to a peer's socket. It never waits: what the socket doesn't
 * take is queued, to a bound, and sent when the connection is ready.
 *
 * After an error the peer may still be sending. What it sends is then received and dropped for a
 * bounded while, until its EOF, as a close before that would be a reset, which can destroy the line
 * on its way.
 */
#ifndef LB_WIRE_H
#define LB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lb_stream;

/* No more is taken while so much is queued. */
enum { LB_WIRE_QUEUE_MAX = 64 << 10 };

/* How a connection is closed, once all that was said has been sent. */
enum lb_closing {
    LB_CLOSING_NOT, /* it goes on */
    LB_CLOSING_PLAIN,
    LB_CLOSING_DRAIN, /* our EOF, then the peer's */
    LB_CLOSING_RESET, /* so that the peer can't think we took it all */
};

/* Zeroed: nothing was said. */
struct lb_wire {
    uint8_t *queue;    /* what the socket did not take; NULL: nothing */
    uint64_t until_ns; /* when patience with the peer ends; 0: nothing is awaited */
    uint32_t queued;   /* bytes */
    uint32_t dropped;  /* bytes that came while it drained */
    int watch_fd;      /* what is watched, plus one; 0: nothing */
    enum lb_closing closing;
    bool hurried;  /* nothing is waited for */
    bool mid_line; /* what the peer was told so far does not end in a newline */
    bool gone;     /* the peer takes nothing any more */
    bool finished; /* our EOF is sent */
    bool clean;    /* drained to the peer's EOF */
};

/* Sends bytes, or queues them, all of them. 0; -EPIPE: the peer has gone, and so has what was
 * queued; -ENOMEM: it is given up. */
int lb_wire_put(struct lb_stream *stream, const void *data, size_t size);

/* How many bytes may be said now. */
static inline size_t lb_wire_room(const struct lb_wire *wire)
{
    return wire->queued < LB_WIRE_QUEUE_MAX ? LB_WIRE_QUEUE_MAX - wire->queued : 0;
}

/* Something is queued, and the peer is waited for. */
static inline bool lb_wire_waits(const struct lb_wire *wire)
{
    return wire->queued > 0 && !wire->hurried;
}

/* How the connection is going to be closed, before the last is said: from now on a process that
 * dies doesn't reset it, unless that is how. patient: what needs time has it, in bounds; else it is
 * given up unless it can be done at once. lb_wire_go_on tells whether it is done, now and when the
 * stream is ready, or until_ns has come. */
void lb_wire_finish(struct lb_stream *stream, enum lb_closing closing, bool patient);

/* Sends what is queued, and goes on closing. Returns true if nothing is left to wait for. */
bool lb_wire_go_on(struct lb_stream *stream);

/* Patience has ended: what is queued is dropped. */
void lb_wire_give_up(struct lb_stream *stream);

/* The connection is about to be closed: withdraws from it, and prepares a reset if that is how it
 * ends. For any stream, whatever was called before. */
void lb_wire_close(struct lb_stream *stream);

/* Tells a peer that never became a stream something, best effort, and that it was all. */
void lb_wire_refuse(int fd, const char *line, size_t size);

#endif
