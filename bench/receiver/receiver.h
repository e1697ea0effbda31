/* SPDX-License-Identifier: MIT */
/* The receiving side of a trial, as a contender sees it: a place to listen, and whom to tell when
 * it is ready and when it is done. */
#ifndef RECEIVER_H
#define RECEIVER_H

#include "arrivals.h"
#include "meter.h"
#include "trial.h"

enum { RECEIVER_ADDRESS_SIZE = 64, RECEIVER_BACKLOG = 4096, RECEIVER_WHY_SIZE = 256 };

/* What the receiver tells when it is done; in shared memory. */
struct receiver_report {
    char address[RECEIVER_ADDRESS_SIZE]; /* "127.0.0.1:41233" */
    struct meter spent;
    int64_t syscalls; /* negative: not counted */
    struct machine_time machine;
    uint64_t mapped;             /* bytes that were not copied to user space */
    char why[RECEIVER_WHY_SIZE]; /* it failed */
};

struct receiver {
    const struct trial *trial;
    struct arrivals *arrivals;
    struct receiver_report *report;
    struct schedule *schedule;                /* the trial's */
    const char *directory;                    /* of this trial, where files go */
    void (*ready)(struct receiver *receiver); /* tells that report->address accepts */
    int ready_fd;
    int release_fd; /* stalled: closed by the driver when streams may be taken from; -1: none */
    struct meter before;
    int syscalls_fd;
    int64_t syscalls_before;
    unsigned files; /* made so far */
};

/* Before any thread is made. */
void receiver_init(struct receiver *receiver, const struct trial *trial, struct arrivals *arrivals,
                   struct receiver_report *report);

/* A listening TCP socket on a free port of 127.0.0.1, blocking, with the trial's SO_RCVBUF. Returns
 * a descriptor that the caller owns, or -1 after receiver_fail. */
int receiver_listen(struct receiver *receiver);

/* SO_RCVBUF of exactly so much, beyond net.core.rmem_max with the right to that. Returns 0, or -1
 * with errno. */
int receiver_set_rcvbuf(int fd, size_t size);

/* The contender accepts from now on: on address, or where address is NULL on the socket of
 * receiver_listen. What it spends counts from here. */
void receiver_ready(struct receiver *receiver, const char *address);

/* What it spends counts from here instead. */
void receiver_restart(struct receiver *receiver);

/* Every stream has ended. What it spends counts up to here. */
void receiver_done(struct receiver *receiver);

/* Keeps why, with error's text if error (an errno) is not 0. Returns -1. */
int receiver_fail(struct receiver *receiver, const char *what, int error);

static inline bool receiver_finished(const struct receiver *receiver)
{
    return arrivals_finished(receiver->arrivals);
}

#endif
