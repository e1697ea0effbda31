/* SPDX-License-Identifier: MIT */
/* A stream, from accept to its one end, and the table of a lane's streams. Nouns: what becomes of
 * them is decided in life.c, which alone writes a stream's state. */
#ifndef LB_STREAM_H
#define LB_STREAM_H

#include "lane.h"
#include "peer.h"
#include "session.h"
#include "verdict.h"
#include "wire.h"

#include <stdalign.h>
#include <stddef.h>

/* Each step from one to another is in life.c's table, and drawn in ARCHITECTURE.md. */
enum lb_stream_state {
    LB_STREAM_FREE,
    LB_STREAM_PARKED,     /* accepted, and waits for its turn: of a prelude, or to begin */
    LB_STREAM_ENTERING,   /* its preludes run */
    LB_STREAM_RECEIVING,  /* an event is owed by the backend */
    LB_STREAM_THROTTLED,  /* as many bytes as its rate allows; nothing is received, nothing held */
    LB_STREAM_PAUSED,     /* the sink has to make room first; nothing is received */
    LB_STREAM_CANCELLED,  /* its end is decided, the backend's terminal event is awaited */
    LB_STREAM_ENDING,     /* the sink's end is in progress, waiting for a watched descriptor */
    LB_STREAM_COMMITTING, /* the sink's end is with the committer */
    LB_STREAM_ANSWERING,  /* the sink is done with it; what the peer is told is on its way */
    LB_STREAM_STATES
};

/* What filters have made and the sink has to take first, in a slot of the pool's. */
struct lb_kept {
    uint8_t *data; /* NULL: nothing */
    uint32_t size;
    uint32_t taken; /* of it */
};

/* How a stream's bytes come to its session. */
struct lb_flow {
    enum lb_way way;        /* of its next piece */
    int target;             /* where a piece is spliced to */
    struct lb_first *first; /* goes before all that is received; NULL: nothing does */
    struct lb_chunk held;   /* PAUSED: the chunk that the sink has to take, if there is one */
    size_t taken;           /* how much of it has been taken */
    struct lb_kept kept;
    bool once; /* pieces are asked for one by one */
    bool may_splice;
    bool over; /* PAUSED: its verdict is decided; what is kept goes before it */
};

struct lb_stream {
    struct lb_conn conn; /* first: a conn is its stream */
    struct lb_lane *lane;
    uint64_t id;
    uint64_t given_id; /* that id will be, known from its coming on; 0: it gets one as it begins */
    uint64_t begun_ns; /* when it came */
    int listener;      /* by whose index it came; -1: by none */
    enum lb_stream_state state;
    unsigned prelude;          /* ENTERING: the filter whose prelude runs */
    int end_result;            /* what the sink's end returned on the committer */
    struct lb_verdict verdict; /* from CANCELLED, ENDING, COMMITTING or ANSWERING on */
    union lb_peer peer;
    bool borrowed; /* the connection is a caller's: it is not reset when the stream fails */
    bool opened;   /* its filters are */
    bool at_eof;   /* nothing more can come from the connection */
    bool
        expected; /* RECEIVING: no byte has come, so it is no stream yet; its session is not open */
    struct lb_flow flow;
    struct lb_session session;
    struct lb_wire wire;
    struct lb_acks acks;
    struct lb_throttled throttled;
    struct lb_alarm alarm; /* the earliest of its deadlines; see lb_stream_arm */
    union {
        uint64_t enter_until_ns; /* ENTERING: when its preludes have had their time; then 0 */
        uint64_t end_begun_ns;   /* its sink's end takes its time since; 0: it does not */
    };
    struct lb_letter letter;           /* to its lane */
    struct lb_stream *next, *previous; /* in the table */
    struct lb_stream *queued;          /* next in the one queue that it waits in */
    struct lb_stream *same_bucket;     /* next of those whose numbers fall together */
    alignas(16) uint8_t memory[];      /* the sink's state, then each filter's */
};

/* Idle streams cost less than 512 bytes each; the rest is the table's and the backend's. */
_Static_assert(sizeof(struct lb_stream) <= 496, "an idle stream costs too much");

/* The stream that this member is of. */
#define LB_STREAM_OF(pointer, member)                                                              \
    ((struct lb_stream *)(void *)((char *)(pointer)-offsetof(struct lb_stream, member)))

/* Streams that wait, the longest first. */
struct lb_stream_queue {
    struct lb_stream *first, *last;
    unsigned count;
};

void lb_stream_queue_put(struct lb_stream_queue *queue, struct lb_stream *stream);
struct lb_stream *lb_stream_queue_take(struct lb_stream_queue *queue); /* NULL: none waits */

/* Takes it out, wherever it stands. False: it is not in there. */
bool lb_stream_queue_remove(struct lb_stream_queue *queue, struct lb_stream *stream);

/* Fixed memory for a lane's streams: reserved at start, touched only as streams come. */
struct lb_stream_table {
    uint8_t *base;
    size_t stride;
    unsigned capacity;
    unsigned touched; /* entries ever used */
    unsigned used;
    struct lb_stream *free;     /* last freed first */
    struct lb_stream *live;     /* all in use, newest first */
    struct lb_stream *retired;  /* freed at the end of the batch: no event names them any more */
    struct lb_stream **buckets; /* by number; as many as there can be streams, a power of two */
    unsigned mask;
    struct lb_stream_queue entered; /* their preludes are over: the entrance goes on with them */
};

int lb_stream_table_init(struct lb_stream_table *table, size_t memory_size, unsigned capacity);
void lb_stream_table_done(struct lb_stream_table *table);

/* A zeroed stream in the live list, or NULL when the table is full. */
struct lb_stream *lb_stream_table_add(struct lb_stream_table *table);

/* The stream has its number, or knows it before it begins: it can be found by it until it is
 * retired. */
void lb_stream_table_number(struct lb_stream_table *table, struct lb_stream *stream, uint64_t id);
void lb_stream_table_promise(struct lb_stream_table *table, struct lb_stream *stream, uint64_t id);

/* NULL: there is none, or it is not the table's. */
struct lb_stream *lb_stream_table_find(const struct lb_stream_table *table, uint64_t id);

/* Takes the stream, which is FREE, off the live list. Its memory stays as it is until
 * lb_stream_table_reuse, so that a late event of the same batch does no harm. */
void lb_stream_table_retire(struct lb_stream_table *table, struct lb_stream *stream);
void lb_stream_table_reuse(struct lb_stream_table *table);

/* Between the sink's open and the decision about its end. */
bool lb_stream_is_under_way(const struct lb_stream *stream);

/* Its number, or the one that it will have; 0: none yet. */
uint64_t lb_stream_number(const struct lb_stream *stream);

/* For its sink: to make room, or to come to its end. */
bool lb_stream_waits(const struct lb_stream *stream);

/* Its state, for a person: a word of ARCHITECTURE.md. */
const char *lb_stream_state_name(const struct lb_stream *stream);

/* What its peer can do now; a stream under way. */
struct lb_hold lb_stream_hold(const struct lb_stream *stream, uint64_t now_ns);

/* Looks at its limits of time, if they count and that is due. Returns what passing one means, or
 * NULL. */
const struct lb_verdict *lb_stream_look(struct lb_stream *stream, uint64_t now_ns);

/* When max_time is over for one of which all has come: for its sink's end, or for what its peer is
 * told. 0: it has no bound, or is late already. */
uint64_t lb_stream_end_by_ns(const struct lb_stream *stream);

/* All of it has come, and max_time was over before its sink's end began. */
bool lb_stream_is_late(const struct lb_stream *stream, uint64_t now_ns);

/* One of the stream's deadlines has changed: sets its alarm to the earliest. */
void lb_stream_arm(struct lb_stream *stream);

/* Lends a chunk's bytes back to the backend. */
void lb_stream_give_back(struct lb_stream *stream, struct lb_chunk *chunk);

#endif
