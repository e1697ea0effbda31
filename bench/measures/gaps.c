/* SPDX-License-Identifier: MIT */
#include "gaps.h"

#include "clock.h"

#include <errno.h>
#include <sched.h>

enum { EVERY_NS = 1000000, LATE_NS = 500000 };

static void note(struct gap_list *gaps, uint64_t due, uint64_t woke)
{
    if (woke >= due + LATE_NS && gaps->count < GAPS_MAX)
        gaps->items[gaps->count++] = (struct gap){due, woke};
}

static void *watch_core(void *argument)
{
    struct gap_watcher *watcher = argument;
    uint64_t due = clock_now();

    while (!atomic_load(&watcher->watch->stop)) {
        struct timespec time;
        uint64_t now;

        due += EVERY_NS;
        time = (struct timespec){.tv_sec = (time_t)(due / NS_PER_S),
                                 .tv_nsec = (long)(due % NS_PER_S)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        now = clock_now();
        note(&watcher->gaps, due, now);
        if (now > due)
            due = now;
    }
    return NULL;
}

static int start(struct gap_watcher *watcher, int core)
{
    struct sched_param priority = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
    pthread_attr_t attributes;
    cpu_set_t set;
    int rc;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_attr_init(&attributes);
    pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &priority);
    rc = pthread_create(&watcher->thread, &attributes, watch_core, watcher);
    pthread_attr_destroy(&attributes);
    return -rc;
}

static void stop(struct gap_watch *watch, size_t started)
{
    atomic_store(&watch->stop, true);
    for (size_t i = 0; i < started; i++)
        pthread_join(watch->watchers[i].thread, NULL);
}

int gap_watch_start(struct gap_watch *watch, const int cores[GAP_CORES])
{
    if (cores[0] < 0 || cores[1] < 0 || cores[0] == cores[1])
        return -EINVAL;
    atomic_store(&watch->stop, false);
    for (size_t i = 0; i < GAP_CORES; i++) {
        struct gap_watcher *watcher = &watch->watchers[i];
        int rc;

        watcher->watch = watch;
        watcher->gaps.count = 0;
        rc = start(watcher, cores[i]);
        if (rc < 0) {
            stop(watch, i);
            return rc;
        }
    }
    return 0;
}

void gap_watch_stop(struct gap_watch *watch)
{
    stop(watch, GAP_CORES);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

double gaps_shared(const struct gap_list *a, const struct gap_list *b, uint64_t begin, uint64_t end)
{
    uint64_t shared = 0;
    size_t i = 0, j = 0;

    while (i < a->count && j < b->count) {
        const struct gap *one = &a->items[i], *other = &b->items[j];
        uint64_t from = later(later(one->due, other->due), begin);
        uint64_t to = earlier(earlier(one->woke, other->woke), end);

        if (to > from)
            shared += to - from;
        if (one->woke < other->woke)
            i++;
        else
            j++;
    }
    return clock_seconds(shared);
}
