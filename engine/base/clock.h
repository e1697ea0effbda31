/* SPDX-License-Identifier: MIT */
#ifndef LB_CLOCK_H
#define LB_CLOCK_H

#include <stdint.h>
#include <time.h>

#define LB_NS_PER_MS UINT64_C(1000000)
#define LB_NS_PER_S UINT64_C(1000000000)

static inline uint64_t lb_clock_read(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * LB_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Nanoseconds since some fixed moment; never goes back. */
static inline uint64_t lb_clock_ns(void)
{
    return lb_clock_read(CLOCK_MONOTONIC);
}

/* At most a second; a signal ends it early. */
static inline void lb_clock_sleep(uint64_t ns)
{
    const struct timespec pause = {.tv_nsec = (long)(ns < LB_NS_PER_S ? ns : LB_NS_PER_S - 1)};

    nanosleep(&pause, NULL);
}

#endif
