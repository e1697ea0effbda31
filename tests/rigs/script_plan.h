/* SPDX-License-Identifier: MIT */
/* Scripts as tables: the events of each wait as an array of steps, and a sink that does to each
 * stream what its plan says. Both note what happens in the script's log. */
#ifndef SCRIPT_PLAN_H
#define SCRIPT_PLAN_H

#include "script.h"

enum step_type {
    STEP_TURN, /* the batch ends here */
    STEP_ACCEPT,
    STEP_ACCEPT_FAILED, /* number: -errno */
    STEP_DATA,          /* stream, number: bytes */
    STEP_EOF,           /* stream */
    STEP_ERROR,         /* stream, number: -errno */
    STEP_READABLE,      /* stream, number: bytes that its peer has sent before */
    STEP_REFUSE,        /* nothing can be spliced to plan_target from now on; no event */
    STEP_READY,         /* stream: with the cookie of its last watch */
    STEP_STOP,          /* as if another thread had called lb_engine_stop; no event */
    STEP_WAKE,          /* waits until the worker is woken */
    STEP_COMMITTED,     /* waits until a stream is back from the committer */
    STEP_TIMEOUT,       /* waits for the time of the turn, which is finite or was over before */
    STEP_LIMIT,         /* number: the accept limit that the turn must have; no event */
    STEP_ACCEPTING,     /* number: the kernel may still accept, whatever the limit is */
    STEP_BROKEN,        /* number: -errno */
    STEP_CALL,          /* call: whatever else happens meanwhile; no event */
};

struct step {
    enum step_type type;
    unsigned stream;
    long number;
    void (*call)(struct script *script);
};

#define STEP(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define STEP_FOR(type_, stream_, number_)                                                          \
    STEP(.type = (type_), .stream = (stream_), .number = (number_))
#define ACCEPT STEP(.type = STEP_ACCEPT)
#define DATA(stream, size) STEP_FOR(STEP_DATA, stream, size)
#define EOF_OF(stream) STEP_FOR(STEP_EOF, stream, 0)
#define ERROR_OF(stream, error) STEP_FOR(STEP_ERROR, stream, error)
#define READY(stream) STEP_FOR(STEP_READY, stream, 0)
#define READABLE(stream, size) STEP_FOR(STEP_READABLE, stream, size)
#define REFUSE STEP(.type = STEP_REFUSE)
#define TURN STEP(.type = STEP_TURN)
#define STOP STEP(.type = STEP_STOP)
#define WAKE STEP(.type = STEP_WAKE)
#define COMMITTED STEP(.type = STEP_COMMITTED)
#define TIMEOUT STEP(.type = STEP_TIMEOUT)
#define LIMIT(limit) STEP_FOR(STEP_LIMIT, 0, limit)
#define ACCEPTING STEP_FOR(STEP_ACCEPTING, 0, 1)
#define ACCEPT_FAILED(error) STEP_FOR(STEP_ACCEPT_FAILED, 0, error)
#define CALL(function) STEP(.type = STEP_CALL, .call = (function))
#define BROKEN(error) STEP_FOR(STEP_BROKEN, 0, error)

/* What a sink's write takes, beside a number of bytes or -errno. 0 is what a table leaves out. */
enum { TAKE_ALL = 0, TAKE_NONE = 1 << 30 };

/* What the sink does to one stream; what is left out succeeds. A write that takes less than it is
 * given, and an end that is in progress, watch the other end of the connection. */
struct stream_plan {
    int open;
    long writes[6];
    int readies[4];
    int ends[4];
};

struct plan {
    struct script *script;
    const struct step *steps;
    size_t step_count, step;
    struct stream_plan streams[SCRIPT_STREAMS];
    struct {
        unsigned opens, writes, readies, ends;
        uint64_t taken;
    } done[SCRIPT_STREAMS];
};

/* Takes all, or fails. */
extern const struct lb_sink plan_sink;
/* The same, and may pause. */
extern const struct lb_sink plan_pausing_sink;
/* The same as the first, and its end may block. */
extern const struct lb_sink plan_slow_sink;

/* The same as the first, and all that matters is that the bytes get to plan_target. */
extern const struct lb_sink plan_target_sink;
extern int plan_target;

/* A script with a plan. What is left out of the options is the plan's own, or generous. */
struct rig {
    struct script script;
    struct plan plan;
};

/* cmocka's: a zeroed rig of each test's own. */
int rig_setup(void **state);
int rig_teardown(void **state);

int rig_init(struct rig *rig, struct script_options options);

/* Of the worker's table: no more connections than that find one at a time. Before the first. */
void rig_leave_places(struct rig *rig, unsigned places);

/* Runs the worker until it ends. */
void rig_run(struct rig *rig, const struct step *steps, size_t count);

#endif
