/* SPDX-License-Identifier: MIT */
/*
 * A worker without a network: its backend is scripted. Whoever plays the script makes up the events
 * of each wait; the backend keeps book of what was lent and what each stream was told, notes every
 * call, and every breach of backend.h.
 *
 * Streams are numbered from 1 in the order of accepts. Each is one end of a socket pair, so that
 * closing it can be seen at the other.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "committer.h"
#include "door.h"
#include "worker.h"

#include <poll.h>

enum {
    SCRIPT_STREAMS = 40,
    SCRIPT_CHUNKS = 64,
    SCRIPT_SLOT_SIZE = 4096,
    SCRIPT_SLOTS = 4,
    SCRIPT_LOG_SIZE = 32768,
};

struct script_stream {
    int fd;   /* the engine's */
    int peer; /* the other end, ours */
    struct lb_conn *conn;
    bool receiving;
    bool awaiting; /* receiving: it is only asked whether it is readable */
    bool once;
    bool cancelled;
    bool terminal;  /* its terminal event was played */
    bool handled;   /* and the engine has seen it */
    bool forgotten; /* its number may be another stream's by now */
    uint64_t sent;  /* bytes played */
    unsigned watches;
    void *cookie; /* of its last watch */
    int watched;  /* the descriptor of that, or -1 */
};

struct script_chunk {
    struct lb_chunk chunk;
    unsigned stream;
};

struct script;

/* Makes up the events of one wait. Returns how many, or -errno for a broken backend. */
typedef int script_player(struct script *script, struct lb_event *events, unsigned max,
                          const struct lb_turn *turn);

struct script {
    struct lb_rules rules;
    struct lb_throttle_limits throttle;
    struct lb_door door;
    struct lb_notes tells; /* into notes */
    struct lb_committer committer;
    struct lb_worker worker;
    struct lb_backend_status status;
    struct script_stream streams[SCRIPT_STREAMS];
    unsigned stream_count;
    struct script_chunk chunks[SCRIPT_CHUNKS]; /* lent, not given back */
    unsigned chunk_count;
    unsigned waits;
    bool broken, closed, done;
    struct lb_stats stats; /* by script_check */

    script_player *play;
    void *player; /* what play needs */

    pthread_mutex_t lock; /* of the two below: the committer's thread writes too */
    char log[SCRIPT_LOG_SIZE];
    char violation[300]; /* the first; empty if there was none */
    char notes[SCRIPT_LOG_SIZE];
};

struct script_options {
    const struct lb_sink *sink;
    void *context;
    unsigned max_streams;
    uint64_t count;
    unsigned drain_ms;
    bool one_stream_per_worker;
    bool committer;
    bool receipts;
    struct lb_limits limits;
    uint64_t rate, total_rate; /* 0: any */
    const char *greeting;
    const struct lb_filter *filters[2]; /* NULL: none */
    const struct lb_config *config;     /* what they are told of; NULL: nothing */
    unsigned handshake_ms, max_handshakes;
};

/* Returns 0 or -errno. */
int script_init(struct script *script, const struct script_options *options);
void script_done(struct script *script);

/* Notes a call, as "name1 ". */
void script_log(struct script *script, const char *format, ...) LB_PRINTF(2, 3);

/* Notes what must not be. */
void script_violate(struct script *script, const char *format, ...) LB_PRINTF(2, 3);

/* The number of the stream that has fd, or 0. */
unsigned script_find(const struct script *script, int fd);

/* The byte that every stream has at an offset. */
uint8_t script_byte(unsigned stream, uint64_t offset);

/* Events, as backend.h wants them. */
struct lb_event script_accept(struct script *script);
/* Bytes that its peer has really sent come first, and alone: size is then a most. */
struct lb_event script_data(struct script *script, unsigned number, size_t size);
struct lb_event script_readable(struct script *script, unsigned number);
struct lb_event script_terminal(struct script *script, unsigned number, int error);

/* Bytes that the stream's peer has really sent, and nobody has received. */
size_t script_unread(const struct script *script, unsigned number);

/* A slot is free for script_data. */
bool script_has_slot(const struct script *script);

/* Waits until the worker is woken, for at most timeout_ms. */
bool script_await_wake(const struct script *script, int timeout_ms);

/* After lb_worker_run: ends the worker and checks what holds after every script, whatever happened:
 * each chunk came back, each stream that was accepted is closed, the counters agree. Notes a
 * violation otherwise. */
void script_check(struct script *script);

#endif
