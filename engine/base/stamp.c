/* SPDX-License-Identifier: MIT */
#include "stamp.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

void lb_stamp_make(char stamp[LB_STAMP_SIZE])
{
    static atomic_uint_fast64_t sequence;
    struct timespec now;
    struct tm utc;
    size_t length;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    length = strftime(stamp, LB_STAMP_SIZE, "%Y%m%dT%H%M%S", &utc);
    snprintf(stamp + length, LB_STAMP_SIZE - length, ".%06ldZ-%06" PRIu64, now.tv_nsec / 1000,
             (uint64_t)atomic_fetch_add(&sequence, 1) + 1);
}

bool lb_stamp_matches(const char *text, size_t size)
{
    static const char form[] = "ddddddddTdddddd.ddddddZ-dddddd";

    if (size < sizeof(form) - 1 || size >= LB_STAMP_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        /* The number may grow. */
        char expected = i < sizeof(form) - 1 ? form[i] : 'd';

        if (expected == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != expected)
            return false;
    }
    return true;
}
