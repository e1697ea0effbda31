/* SPDX-License-Identifier: MIT */
/* A session: one stream's sink, its context, and the meter in front of it. All calls of a sink are
 * made here, and what it returns is checked here: nonsense is an error of the sink in every build.
 * What may end a stream fills a verdict; nothing in here acts on it. */
#ifndef LB_SESSION_H
#define LB_SESSION_H

#include "meter.h"
#include "verdict.h"

struct lb_lane;
struct lb_stream;

/* What the sink has asked for: that its stream end, before anything else decides about that. */
enum lb_asked { LB_ASKED_NOTHING, LB_ASKED_FINISH, LB_ASKED_REFUSE };

struct lb_session {
    const struct lb_sink *sink;
    void *context;
    struct lb_meter meter;
    uint64_t alarm_ns; /* when the sink asked to be called; 0: it did not */
    uint64_t doubt_ns; /* when somebody is told that nothing will call the sink; 0: never */
    const char *limit; /* that it has passed, as its sink has told; NULL: none */
    enum lb_asked asked : 8;
    bool in_doubt;    /* if its end fails nobody knows whether it is safe */
    unsigned watches; /* that may still call it; more, if it has watched a descriptor twice */
};

/* What it means that its sink has returned -errno. */
struct lb_verdict lb_session_failed(const struct lb_stream *stream, int error);

/* The stream begins: what it belongs to is in its lane's rules. Returns true, or false with the
 * verdict: the sink's end is not to be called then. */
bool lb_session_open(struct lb_stream *stream, struct lb_verdict *verdict);
void lb_session_close(struct lb_stream *stream);

/* Offers bytes to the sink. Returns how many it took, less than size if it pauses; or -1 with the
 * verdict. What it took is counted either way. */
ssize_t lb_session_write(struct lb_stream *stream, const uint8_t *data, size_t size,
                         struct lb_verdict *verdict);

/* Bytes that were spliced to the sink's target. */
void lb_session_spliced(struct lb_stream *stream, size_t size);

/* How many more bytes it may have, or more. */
uint64_t lb_session_room(const struct lb_stream *stream);

/* Whether the sink has place for this stream: 1, 0, or -1 with the verdict. */
int lb_session_has_place(struct lb_stream *stream, struct lb_verdict *verdict);

/* The sink's place and target. -1 and 0 as the sink says them; other -errno of place with the
 * verdict. */
ssize_t lb_session_place(struct lb_stream *stream, void **data, struct lb_verdict *verdict);
int lb_session_target(struct lb_stream *stream);

/* The sink refuses the stream with that text. False if it can't any more. */
bool lb_session_refuse(struct lb_stream *stream, const char *text);

/* The sink has asked that the stream end. Returns true with the verdict. */
bool lb_session_is_decided(const struct lb_stream *stream, struct lb_verdict *verdict);

/* The sink has paused, or its end is in progress: looks whether something will call it. */
void lb_session_waits(struct lb_stream *stream);

/* doubt_ns has come, and it waits still. */
void lb_session_tell_doubt(struct lb_stream *stream);

/* What all streams of a lane share of its sink, on the lane's thread, before the first stream and
 * after the last. 0 or -errno. */
int lb_session_open_worker(struct lb_lane *lane);
void lb_session_close_worker(struct lb_lane *lane);

/* A descriptor that the sink watches may be ready, or its alarm has rung. Returns true, or false
 * with the verdict. */
bool lb_session_ready(struct lb_stream *stream, struct lb_verdict *verdict);

/* The sink's end, and settle for several of one lane's rules. On any thread, but one at a time for
 * a stream. Returns what they did: 0, -errno, -EINPROGRESS or LB_UNSETTLED. */
int lb_session_end(struct lb_stream *stream);
int lb_session_settle(struct lb_stream *const *streams, size_t count);

/* The sink's name for it that will do in a receipt, or NULL. */
const char *lb_session_receipt_id(struct lb_stream *stream);

#endif
