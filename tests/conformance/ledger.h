/* SPDX-License-Identifier: MIT */
/*
 * The test's sink: notes every call and every byte, and checks that the calls keep the order that
 * the public header promises. Hooks let a case pause, fail or block.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "support.h"

#include <lastbyte/lastbyte.h>

enum ledger_phase { LEDGER_NONE, LEDGER_OPEN, LEDGER_REFUSED, LEDGER_ENDED };

/* One stream. The atomic members may be looked at while the stream is under way, the others once
 * phase is LEDGER_ENDED or LEDGER_REFUSED. */
struct ledger_entry {
    struct ledger *ledger;
    uint64_t id;
    uint64_t tag; /* the first eight bytes, once they have come; else 0 */
    _Atomic uint64_t bytes;
    _Atomic uint64_t mark; /* the hooks' */
    _Atomic enum ledger_phase phase;
    atomic_bool busy;        /* a call is under way */
    atomic_uint end_calls;   /* one, or more after -EINPROGRESS */
    enum lb_end end;         /* as the sink was told */
    enum lb_end counted_end; /* as the statistics must count it */
    const char *why;         /* lb_stream_why, at its end */
    uint64_t chunks;
    uint8_t head[PAYLOAD_TAG_SIZE];
    int watched; /* the hooks': a descriptor of their own, or -1 */
    pthread_t thread;
    char peer[LB_PEER_SIZE];
    XXH3_state_t *hash;
    XXH128_hash_t digest;
};

/* A case's own part of the calls; each may be NULL. They return what the sink's call shall. */
struct ledger_hooks {
    int (*open)(struct ledger_entry *entry, struct lb_stream *stream);
    ssize_t (*write)(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                     size_t size);
    int (*ready)(struct ledger_entry *entry, struct lb_stream *stream);
    int (*end)(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end);
};

enum { LEDGER_TAGS = 32768 };

struct ledger {
    struct ledger_hooks hooks;
    bool plain;       /* no digests */
    struct gate gate; /* the case's, for its hooks; opened when a case fails */
    bool slow_end;    /* the sink has LB_SINK_SLOW_END */
    struct ledger_entry *entries;
    size_t room;
    atomic_size_t opened; /* opens, refused ones too */
    atomic_size_t ended;  /* streams with an end, refused ones too */
    atomic_uint under_way, most_under_way;
    atomic_uint ends_under_way, most_ends_under_way;
    _Atomic(struct ledger_entry *) tags[LEDGER_TAGS];
    pthread_mutex_t mutex;
    atomic_bool broken;
    char why[200]; /* the first promise that was broken */
};

/* The sink: its context is a struct ledger. */
extern const struct lb_sink ledger_sink;

int ledger_init(struct ledger *ledger);
int ledger_reserve(struct ledger *ledger, size_t room);
void ledger_done(struct ledger *ledger);

/* For hooks: notes that a promise was broken. The case fails in server_finish. */
void ledger_complain(struct ledger *ledger, const char *format, ...) PRINTF_LIKE(2, 3);

/* The stream of that tag, or NULL if no byte of it has come yet. */
struct ledger_entry *ledger_find(struct ledger *ledger, uint64_t tag);

/* For hooks: lets the stream's ready be called once the gate is open, and ends that. Every stream
 * has its own descriptor for it. */
int ledger_watch_gate(struct ledger_entry *entry, struct lb_stream *stream);
void ledger_unwatch_gate(struct ledger_entry *entry, struct lb_stream *stream);

/* A hook: what is complete waits for the gate, and ends only if it is told of another end. */
int ledger_end_never(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end);

#endif
