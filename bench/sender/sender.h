/* SPDX-License-Identifier: MIT */
/* The sending side of a trial, as a workload sees it. */
#ifndef SENDER_H
#define SENDER_H

#include "histogram.h"
#include "meter.h"
#include "trial.h"

#include <netinet/in.h>

enum { SENDER_WHY_SIZE = 256 };

/* Of a sender on another host: what only the two together know. Times are the receiver's clock's.
 */
struct sender_far {
    bool there;
    double clock_error_us;            /* both clocks may be so far apart, after all */
    double system_cpu_s, steal_s;     /* of the sender's host */
    double dropped, receiver_dropped; /* packets, by the interfaces that both hosts use */
    double sent_again;                /* segments of TCP, by the sender's host */
};

/* What the sender tells; in shared memory. */
struct sender_report {
    uint64_t begin_ns;           /* CLOCK_MONOTONIC: just before the first connection was made */
    double started_s;            /* the same moment, CLOCK_REALTIME */
    struct machine_time machine; /* then */
    _Atomic uint64_t connected;  /* streams so far */
    struct meter spent;
    struct histogram lag; /* latency: how late it was itself */
    /* MSG_ZEROCOPY: writes that the kernel has answered, and those of them that it has copied. */
    uint64_t answered, copied;
    /* stalled: nothing more can be sent; bytes of kernel memory that its sockets hold then. */
    _Atomic bool full;
    uint64_t socket_memory;
    struct sender_far far;
    char why[SENDER_WHY_SIZE];
};

struct sender {
    const struct trial *trial;
    struct sender_report *report;
    struct sockaddr_in to;
    uint64_t retry_ns;      /* the first connection may be tried for so long */
    bool await;             /* the peer's close of each stream */
    int64_t clock_ahead_ns; /* the receiver's CLOCK_MONOTONIC of this one: 0 on one host */
    int release_fd;         /* idle, stalled: closed by the driver when streams may end; -1: none */
    bool begun;
};

/* address as receiver_report has it, or HOST:PORT. Returns 0, or -1 with why. */
int sender_init(struct sender *sender, const struct trial *trial, struct sender_report *report,
                const char *address);

/* Runs the trial's workload, metered. Returns 0, or -1 with why. */
int sender_run(struct sender *sender);

/* Connects the stream with this number (from 0): blocking, TCP_NODELAY, the trial's congestion
 * control. Returns a descriptor that the caller owns, or -1 with why. */
int sender_connect(struct sender *sender, uint64_t stream);

/* Connects all the streams of the trial. Returns an array of descriptors, or NULL with why. */
int *sender_connect_all(struct sender *sender);

/* Sends all of data. Returns 0, or -1 with why. */
int sender_send(struct sender *sender, int fd, const void *data, size_t size);

/* Until due (CLOCK_MONOTONIC, ns), to the microsecond where the timer slack is nothing. */
void sender_wait_until(uint64_t due);

/* Half-closes every one of the streams, waits for the peer's close of each, and frees. */
int sender_finish_all(struct sender *sender, int *fds);

/* Waits for the peer's close, if the sender is to. Returns 0, or -1 with why. */
int sender_await_close(struct sender *sender, int fd);

/* Keeps why, with error's text if error (an errno) is not 0. Returns -1. */
int sender_fail(struct sender *sender, const char *what, int error);

#endif
