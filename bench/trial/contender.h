/* SPDX-License-Identifier: MIT */
/* A way to receive. */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <stdbool.h>
#include <stddef.h>

struct receiver;
struct switches;
struct workload;

/* The one thing that a contender does otherwise than the one that it is compared with. */
enum change {
    CHANGE_NOTHING,
    CHANGE_SQPOLL,       /* io_uring: a kernel thread submits, and does what was submitted */
    CHANGE_NO_IOWAIT,    /* io_uring: a core that waits for it counts as idle */
    CHANGE_NAPI,         /* io_uring: polls the device before it sleeps */
    CHANGE_EPOLL_PARAMS, /* epoll: likewise */
    CHANGE_BUSY_POLL,    /* a receive of each socket: likewise */
    CHANGE_MPTCP,        /* of sender and receiver */
};

struct contender {
    const char *name;
    const char *what;
    const char *kind;       /* "ours", "loop", "library", "floor", "cell" or "changed" */
    const char *label;      /* what a reader must not overlook, or "" */
    unsigned offers;        /* of enum demand */
    unsigned only;          /* of them: what a workload must demand to be served; 0: nothing */
    const char *backend;    /* ours: lastbyte's name of it */
    const char *sink;       /* ours: the sink */
    unsigned gather_max_us; /* ours: 0 is the default */
    unsigned tune;          /* ours: of enum lb_tune */
    bool direct;            /* ours: past the page cache */
    size_t buffer_size;     /* loops */
    bool only_by_name;      /* no part of "everybody" */
    const char *follows;    /* floors: the contender of ours whose gathering it does likewise */
    const struct switches *switches; /* ours: NULL: as it decides itself */
    bool drops;                      /* what it receives is counted and never seen */
    enum change change;
    size_t rcvbuf; /* SO_RCVBUF, whatever the system's limit is; 0: as of all others */

    /* Why it can't run here, or NULL if it can. May be NULL. The text is static or in buffer. */
    const char *(*missing)(const struct contender *contender, char *buffer, size_t size);

    /* Listens, calls receiver_ready, receives every stream of the trial to its end, telling each
     * byte and end to a tally, calls receiver_done, and cleans up. Returns 0, or -1 after
     * receiver_fail. */
    int (*receive)(const struct contender *contender, struct receiver *receiver);
};

/* Can it serve this workload at all? */
bool contender_serves(const struct contender *contender, const struct workload *workload);

/* As the member of that name. */
const char *contender_missing(const struct contender *contender, char *buffer, size_t size);

#endif
