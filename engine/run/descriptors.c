/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#include <dirent.h>
#include <limits.h>
#include <sys/resource.h>

/* For what comes and goes: a connection that is turned away, a directory that is looked through,
 * what the program itself opens. */
enum { SPARE = 24 };

/* Without /proc nothing is known of those that are open: half of the limit is left to them. */
static unsigned long count_open(unsigned long limit)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned long count = 0;

    if (!directory)
        return limit / 2;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* its own, and the two dots */
}

unsigned lb_descriptors_streams(const struct lb_sink *sink, unsigned ahead)
{
    unsigned long used, streams;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT_MAX;
    used = count_open(limit.rlim_cur) + SPARE + ahead;
    streams = limit.rlim_cur > used ? (limit.rlim_cur - used) / (1 + sink->descriptors) : 0;
    if (streams > UINT_MAX)
        return UINT_MAX;
    return streams > 0 ? (unsigned)streams : 1;
}
