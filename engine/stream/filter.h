/* SPDX-License-Identifier: MIT */
/*
 * A filter: a layer between backend and session. It eats, changes or judges a stream's bytes, and
 * may have a time of its own before the stream begins, a prelude: a handshake, a header. One const
 * table entry for each kind; absence of a function is a capability (no take: bytes pass untouched,
 * and may be spliced and placed).
 *
 * Bytes go from the first filter to the last, and on to the session. What is said to the peer goes
 * the other way. All calls for one stream come from its lane's thread, one at a time; but a sink
 * may answer what it is given, so that say is called while take waits for its lb_pass.
 */
#ifndef LB_FILTER_H
#define LB_FILTER_H

#include "stream.h"

/* One stream's place in one filter, for the time of a call. */
struct lb_stage {
    struct lb_stream *stream;
    unsigned index; /* in its lane's rules */
    bool back;      /* on the way to the peer */
};

struct lb_filter {
    const char *name; /* as a refusal names it */
    size_t state_size;
    /* A stream has an end of its own in there: where that is missing, none ends as eof. */
    bool has_end;
    /* take makes at most grows * size + extra bytes of size, and eof at most rest. grows is 1 or
     * more. The pieces that take is given are so small that this fits into LB_SCRATCH_SIZE. */
    unsigned grows;
    size_t extra, rest;

    /* Bytes that libraries of its have for each stream, at most, which nothing else bounds. */
    size_t beside;

    /* Sets *settings, which is NULL, to what the filter is told if config asks for it: config
     * itself, which lives as long, or what release gives back. Left NULL: no stream passes the
     * filter. Returns 0, or -errno with the cause in error, and nothing to give back. */
    int (*settle)(const struct lb_config *config, const void **settings, struct lb_error *error);

    /* Gives back what settle has made. NULL: nothing. */
    void (*release)(const void *settings);

    /* Whether the filter has a prelude for this peer. NULL: for all, if it has enter. */
    bool (*expects)(const void *settings, const union lb_peer *peer);

    /* Before any other call for a stream; the state is zeroed. Of a peer without preludes: as its
     * stream begins, or when it is to be told something before. 0 or -errno: the peer is refused.
     * May be NULL. */
    int (*open)(struct lb_stage *stage, const void *settings);

    /* Reads what comes before the stream by lb_stage_receive, and not a byte more (by MSG_PEEK, or
     * exact sizes). 0: it is over. -EAGAIN: called again when there is more to read; it has
     * consumed what was there, or it would be called at once for ever. -ENODATA: the peer has left
     * and had never meant to be a stream, as a health check does: it isn't, and isn't refused. Any
     * other -errno, and that is for an early EOF too: the peer is refused; *why may be set to a
     * static text. NULL: there is no prelude. */
    int (*enter)(struct lb_stage *stage, const char **why);

    /* Takes all of data, and passes on what comes of it by lb_pass. Returns true to go on, or false
     * with the verdict: it ends the stream; bytes behind it are then received and dropped, and eof
     * of no filter is called. Its own end, before the connection's EOF, is what lb_pass_end says.
     * What lb_pass returned false with is passed down as it is. NULL: bytes pass untouched. */
    bool (*take)(struct lb_stage *stage, const uint8_t *data, size_t size,
                 struct lb_verdict *verdict);

    /* The connection's EOF has come. Leaves the verdict eof if that is the stream's end, after
     * passing on what it held back; else says what it is, and the filters behind it aren't asked.
     * NULL: it is. */
    void (*eof)(struct lb_stage *stage, struct lb_verdict *verdict);

    /* Says data to the peer, by lb_stage_say; all of it. 0 or -errno. NULL: untouched. */
    int (*say)(struct lb_stage *stage, const void *data, size_t size);

    /* Nothing more will be said: its own last word. NULL: none. */
    void (*finish)(struct lb_stage *stage);

    /* Who the peer has proven to be, after enter: for lb_stream_identity, until close. May return
     * NULL, and be NULL. */
    const char *(*identity)(const struct lb_stage *stage);

    /* For each open that succeeded, as the last call. May be NULL. */
    void (*close)(struct lb_stage *stage);
};

/* All of them, in the order that bytes pass them, ending in NULL (filters/table.c). */
extern const struct lb_filter *const lb_filters[];

/* ---- what a filter calls --------------------------------------------------------------------- */

void *lb_stage_state(const struct lb_stage *stage);

/* From enter: recv(2) without waiting, from what was read of the connection before it was adopted,
 * then from itself. flags: 0 or MSG_PEEK. Returns 0 at its EOF, or -errno: -EAGAIN if there is
 * nothing now. */
ssize_t lb_stage_receive(const struct lb_stage *stage, void *data, size_t size, int flags);

/* LB_SCRATCH_SIZE bytes of its own until the call returns. */
uint8_t *lb_stage_scratch(const struct lb_stage *stage);

/* Who the peer really is, as a header in front of the stream tells. From enter only: admission and
 * all that follows go by it. */
void lb_stage_set_peer(const struct lb_stage *stage, const union lb_peer *peer);

/* Hands bytes on: lent until it returns. All are taken; what a sink leaves for later is kept.
 * Returns true to go on, or false with the verdict. */
bool lb_pass(const struct lb_stage *stage, const uint8_t *data, size_t size,
             struct lb_verdict *verdict);

/* The stream's own end has come: asks the filters behind this one what that is to them, as at the
 * connection's EOF. Returns false with the verdict. From take. */
bool lb_pass_end(const struct lb_stage *stage, struct lb_verdict *verdict);

/* Says bytes to the peer, through the filters before this one. 0 or -errno. */
int lb_stage_say(const struct lb_stage *stage, const void *data, size_t size);

/* ---- what the rooms above call --------------------------------------------------------------- */

/* Where each filter's state is, and how large a piece may be. After the filters and the pool's
 * shape are set: makes the slots larger if what a filter makes of the least piece would not fit. */
void lb_rules_lay_out(struct lb_rules *rules);

/* Gives back what the filters have made of a configuration. */
void lb_filters_release(struct lb_rules *rules);

/* Whether one of them has a prelude for the stream's peer. */
bool lb_filters_expect(const struct lb_stream *stream);

/* Opens all. 0 or -errno, with nothing left open. */
int lb_filters_open(struct lb_stream *stream);
void lb_filters_close(struct lb_stream *stream);

/* Goes on with the preludes. As enter. */
int lb_filters_enter(struct lb_stream *stream, const char **why);

/* The stream begins: opens those that are not open yet, and greets the peer. Returns true, or false
 * with the verdict. */
bool lb_filters_begin(struct lb_stream *stream, struct lb_verdict *verdict);

/* The filter whose prelude runs or has failed. */
const char *lb_filters_prelude(const struct lb_stream *stream);

/* Feeds at most size bytes. Returns how many were taken, less than size once something is kept; or
 * -1 with the verdict. */
ssize_t lb_filters_feed(struct lb_stream *stream, const uint8_t *data, size_t size,
                        struct lb_verdict *verdict);

/* Offers what is kept to the session. Returns true to go on, which it may with something kept
 * still; or false with the verdict. */
bool lb_filters_flush(struct lb_stream *stream, struct lb_verdict *verdict);

/* What the connection's EOF is. */
void lb_filters_eof(struct lb_stream *stream, struct lb_verdict *verdict);

/* Tells the peer something, whatever is queued already. 0, -EPIPE, -ENOMEM, or what an open has
 * failed with. */
int lb_filters_tell(struct lb_stream *stream, const void *data, size_t size);

/* Nothing more will be said: the filters' last words. */
void lb_filters_finish(struct lb_stream *stream);

/* Gives back the slot of what is kept. */
void lb_filters_drop(struct lb_stream *stream);

#endif
