/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>

/* For what comes and goes: a connection that is turned away, a directory that is looked through,
 * what the program itself opens. */
enum { SPARE = 24 };

/* What wakes it, and what it waits with. */
enum { PER_WORKER = 2 };

/* Without /proc nothing is known of those that are open: half of the limit is left to them. */
static unsigned long count_open(unsigned long limit)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned long count = 0;

    if (!directory)
        return errno == EMFILE ? limit : limit / 2;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* its own, and the two dots */
}

/* How often there are so many, beside taken that will be open, too. */
static unsigned times(unsigned long each, unsigned long taken)
{
    unsigned long used, times;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT_MAX;
    used = count_open(limit.rlim_cur) + taken;
    times = limit.rlim_cur > used ? (limit.rlim_cur - used) / each : 0;
    return times > UINT_MAX ? UINT_MAX : (unsigned)times;
}

unsigned lb_descriptors_ahead(const struct lb_backend *backend, unsigned listeners)
{
    return 1 + backend->accepts_ahead * listeners;
}

unsigned lb_descriptors_streams(const struct lb_sink *sink, unsigned ahead)
{
    unsigned each = 1 + sink->descriptors, streams = times(each, SPARE + ahead);

    if (streams > 0)
        return streams;
    return times(each, 1) > 0 ? 1 : 0;
}

unsigned lb_descriptors_workers(const struct lb_sink *sink, unsigned beside)
{
    unsigned workers = times(PER_WORKER + beside + 1 + sink->descriptors, SPARE);

    return workers > 0 ? workers : 1;
}
