/* SPDX-License-Identifier: MIT */
/* A stream, and the table of a worker's streams. */
#ifndef LB_STREAM_H
#define LB_STREAM_H

#include "acks.h"
#include "backend.h"
#include "limit.h"
#include "peer.h"
#include "pipe.h"
#include "receipt.h"
#include "throttle.h"

#include <stdalign.h>

struct lb_worker;

enum lb_stream_state {
    LB_STREAM_FREE,
    LB_STREAM_PARKED,     /* accepted ahead of a limit, not begun */
    LB_STREAM_RECEIVING,  /* between the sink's open and the terminal event */
    LB_STREAM_THROTTLED,  /* as many bytes as its rate allows; nothing is received, nothing held */
    LB_STREAM_PAUSED,     /* the sink holds the rest of a chunk; nothing is received */
    LB_STREAM_CANCELLED,  /* its end is decided, the backend's terminal event is awaited */
    LB_STREAM_ENDING,     /* the sink's end is in progress, waiting for a watched descriptor */
    LB_STREAM_COMMITTING, /* the sink's end is with the committer */
    LB_STREAM_ANSWERING,  /* the sink is done with it; its receipt is on its way */
};

struct lb_stream {
    struct lb_conn conn; /* first: a conn is its stream */
    struct lb_worker *worker;
    bool borrowed; /* the connection is a caller's: it is not reset when the stream fails */
    uint64_t id;
    uint64_t bytes;
    enum lb_stream_state state;
    enum lb_end end; /* from CANCELLED, ENDING, COMMITTING or ANSWERING on */
    int error;       /* the -errno behind the end, or 0 */
    const char *why; /* the limit behind the end, or NULL; a static string */
    int end_result;  /* what the sink's end returned on the committer */
    bool once;       /* its chunks are asked for one by one */
    bool may_splice;
    enum lb_way way;      /* of its next piece */
    int target;           /* where that is spliced to */
    struct lb_chunk held; /* PAUSED: the chunk, if it is one that the sink has to take */
    size_t taken;         /* PAUSED: how much of it the sink has taken */
    struct lb_receipt receipt;
    union lb_peer peer;
    struct lb_pace pace;
    struct lb_acks acks;
    struct lb_throttled throttled;
    struct lb_stream *next, *previous; /* in the table */
    struct lb_stream *queued;          /* next in a committer's or a worker's queue */
    alignas(16) uint8_t sink_state[];
};

/* Fixed memory for a worker's streams: reserved at start, touched only as streams come. */
struct lb_stream_table {
    uint8_t *base;
    size_t stride;
    unsigned capacity;
    unsigned touched; /* entries ever used */
    unsigned used;
    struct lb_stream *free;    /* last freed first */
    struct lb_stream *live;    /* all in use, newest first */
    struct lb_stream *retired; /* freed at the end of the batch: no event names them any more */
};

int lb_stream_table_init(struct lb_stream_table *table, size_t state_size, unsigned capacity);
void lb_stream_table_done(struct lb_stream_table *table);

/* A zeroed stream in the live list, or NULL when the table is full. */
struct lb_stream *lb_stream_table_add(struct lb_stream_table *table);

/* Takes the stream off the live list. Its memory stays as it is, in state FREE, until
 * lb_stream_table_reuse, so that a late event of the same batch does no harm. */
void lb_stream_table_retire(struct lb_stream_table *table, struct lb_stream *stream);
void lb_stream_table_reuse(struct lb_stream_table *table);

#endif
