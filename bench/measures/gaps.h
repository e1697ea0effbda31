/* SPDX-License-Identifier: MIT */
/*
 * When the host of a virtual machine took the processor away.
 *
 * A thread on each of two cores is to wake every millisecond, before anybody else (SCHED_FIFO), and
 * notes when it was late. One core alone may be late by what runs on it: the kernel doesn't
 * interrupt itself everywhere. Both late at once had no processor. The threads sleep in between,
 * since a spinner, which leaves a core no rest, would make waking up cheaper than it is.
 */
#ifndef GAPS_H
#define GAPS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GAPS_MAX = 4096, GAP_CORES = 2 };

/* CLOCK_MONOTONIC, ns */
struct gap {
    uint64_t due, woke;
};

struct gap_list {
    size_t count; /* what is beyond GAPS_MAX is not kept */
    struct gap items[GAPS_MAX];
};

struct gap_watch {
    struct gap_watcher {
        pthread_t thread;
        struct gap_watch *watch;
        struct gap_list gaps;
    } watchers[GAP_CORES];
    _Atomic bool stop;
};

/* Returns 0, or -errno where nothing is watched: -EPERM without the right to real-time priority,
 * -EINVAL if the cores are one. What was started is the caller's (stop). */
int gap_watch_start(struct gap_watch *watch, const int cores[GAP_CORES]);
void gap_watch_stop(struct gap_watch *watch);

/* Seconds between begin and end (ns) in which both were late. */
double gaps_shared(const struct gap_list *a, const struct gap_list *b, uint64_t begin,
                   uint64_t end);

#endif
