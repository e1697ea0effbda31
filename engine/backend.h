/* SPDX-License-Identifier: MIT */
/*
 * The contract between the engine and a backend: how bytes get from sockets into slots.
 *
 * Completion-shaped and pulled in batches. A worker calls wait() for a batch of events, feeds the
 * sinks, gives the slots back, and waits again. A backend never calls into the engine, so there is
 * no re-entrancy, and a scripted backend for tests is an array of events.
 *
 * All calls on one backend come from one thread, except that open may run on another before; so may
 * close, if wait was never called.
 */
#ifndef LB_BACKEND_H
#define LB_BACKEND_H

#include <lastbyte/lastbyte.h>

struct lb_pool;

/* Bytes of a conn that are the backend's alone. */
enum { LB_CONN_TAIL = 24 };

/* A backend's part of a stream: the first member of struct lb_stream. Its address is stable from
 * accept until the stream's terminal event, and aligned to LB_COOKIE_ALIGN. */
struct lb_conn {
    int fd;         /* set by the worker; the backend borrows it */
    bool is_unix;   /* set by the worker */
    bool receiving; /* set by the backend: an event is owed, the terminal one or, for once, a chunk
                     */
    _Alignas(8) unsigned char tail[LB_CONN_TAIL]; /* zeroed before the first receive */
};

/* A conn's address and a watch's cookie go through the kernel as 64 bits whose low four are the
 * backend's, to tell what an event is about. So both are aligned to that. */
enum { LB_COOKIE_ALIGN = 16 };

/* Received bytes inside the pool: a part of a slot, or a run through neighbouring slots. */
struct lb_chunk {
    uint8_t *data;
    size_t size;
};

enum lb_event_type {
    LB_EVENT_ACCEPTED,      /* fd, listener: a new connection, owned by the worker from now on;
                               close-on-exec */
    LB_EVENT_ACCEPT_FAILED, /* error: out of descriptors or memory; accept is off until asked for */
    LB_EVENT_DATA,          /* conn, chunk: lent until give_back */
    LB_EVENT_EOF,           /* conn: the kernel returned 0 bytes. Terminal */
    LB_EVENT_ERROR,         /* conn, error: the receive failed, or was cancelled. Terminal */
    LB_EVENT_READABLE,      /* conn: bytes, its EOF or an error can be had without waiting */
    LB_EVENT_READY,         /* cookie: a watched descriptor is ready. A hint: may come late, even
                               after watch() withdrew it, and without cause */
    LB_EVENT_WAKE,          /* the wake descriptor was readable; the worker empties it */
};

struct lb_event {
    enum lb_event_type type;
    union {
        int error;         /* -errno */
        unsigned listener; /* index in the backend's configuration */
    };
    union {
        int fd;
        struct lb_conn *conn;
        void *cookie;
    };
    struct lb_chunk chunk;
};

struct lb_pool_shape {
    size_t slot_size;
    unsigned slots;
};

struct lb_backend_config {
    const int *listeners; /* listening, non-blocking; borrowed until close */
    size_t listener_count;
    int wake_fd;          /* an eventfd, borrowed until close */
    unsigned max_streams; /* at most this many conns at a time */
    struct lb_pool *pool; /* borrowed until close */
    bool whole_slots;     /* streams may keep a chunk for long: don't let two share a slot */
    bool unrestricted;    /* see struct lb_config */
    bool own_loop;        /* poll_fd will be asked */
};

/* What the worker asks of one wait. */
struct lb_turn {
    int64_t timeout_ns;    /* negative: until something happens */
    uint64_t gather_ns;    /* let events gather so long before the first is reported; a backend that
                              can't ignores it */
    unsigned accept_limit; /* accept about this many at most; 0: none. A backend that accepts ahead
                              may report more; the worker keeps those waiting */
};

/* What a backend tells about itself; written by its thread alone, read by the worker. */
struct lb_backend_status {
    uint64_t starved; /* times data waited because every slot was in use */
    uint64_t polls;   /* times it had nothing left and waited for the kernel */
    bool accepting;   /* the kernel may still accept: true until a wait with accept_limit 0 has
                         seen the last of it, and has returned to say so */
};

struct lb_backend {
    const char *name;
    const char *help; /* part of a line: what it is */
    bool ring;        /* see struct lb_feature */
    bool one_stream_per_worker;
    bool shared_listeners;  /* every worker waits on the same listening sockets */
    bool wakes_one;         /* of all who accept from one socket, the kernel wakes one for a peer */
    unsigned accepts_ahead; /* from each listener, at most so many beyond accept_limit while that is
                               small */
    unsigned workers;       /* default; 0: one per usable core */

    /* The pool that suits it, if a chunk in use keeps its whole slot, or if not. */
    struct lb_pool_shape (*shape)(bool whole_slots);

    /* May this process use it? 0, or -errno with the cause and the remedy in error. Appends what
     * it finds out about the kernel to probe, if that is not NULL. Leaves nothing behind. */
    int (*probe)(struct lb_probe *probe, struct lb_error *error);

    /* *state is owned by the caller (close). On failure nothing is left behind. */
    int (*open)(void **state, const struct lb_backend_config *config, struct lb_error *error);

    /* No conn may be receiving. Lent chunks need not have come back. */
    void (*close)(void *state);

    /* Begins to receive conn->fd: data events, then exactly one terminal event; with once, one data
     * event or the terminal one, after which receiving is false until the next call. conn must not
     * be receiving. Never fails: what goes wrong is the terminal event. */
    void (*receive)(void *state, struct lb_conn *conn, bool once);

    /* Takes no bytes: one READABLE event, or the terminal one once it is cancelled. Else as receive
     * with once. */
    void (*await)(void *state, struct lb_conn *conn);

    /* Ends a receive that is under way: its terminal event will come, soon, and data events may
     * come before it. The descriptor must stay open until then. No effect on an idle conn. */
    void (*cancel)(void *state, struct lb_conn *conn);

    /* The conn has had its terminal event or is idle, and its descriptor is about to be closed:
     * forget it. */
    void (*forget)(void *state, struct lb_conn *conn);

    /* One READY event with cookie, which is aligned to LB_COOKIE_ALIGN, once fd is ready for events
     * (POLLIN, POLLOUT); replaces an earlier request for fd; events 0 withdraws it. */
    int (*watch)(void *state, int fd, unsigned events, void *cookie);

    /* Waits for events as turn says. Returns how many were written to events, at most max (at
     * least LB_EVENTS_MIN): 0 when the time passed or for no reason. EINTR, EAGAIN, ENOBUFS and
     * the like are the backend's own business. Returns -errno only if the backend is broken. */
    int (*wait)(void *state, struct lb_event *events, unsigned max, const struct lb_turn *turn);

    /* The chunk's bytes are the backend's again. Each lent chunk comes back exactly once, whole,
     * in any order. */
    void (*give_back)(void *state, const struct lb_chunk *chunk);

    /* A descriptor that polls as readable when wait has something to do that it did not know of
     * when it returned 0 last. Valid until close. NULL: there is none, it has to be waited in. */
    int (*poll_fd)(const void *state);

    /* Valid until close. */
    const struct lb_backend_status *(*status)(const void *state);
};

enum { LB_EVENTS_MIN = 16 };

/* The backends, best first, ending in NULL (backends/table.c). */
extern const struct lb_backend *const lb_backends[];

#endif
