/* SPDX-License-Identifier: MIT */
#include "cores.h"

#include "error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads "MAX PERIOD" of one group, in microseconds; "max" is no limit, and so is what can't be
 * read. */
static unsigned read_quota(const char *root, const char *group)
{
    char path[PATH_MAX];
    unsigned long long quota, period;
    unsigned cores = UINT_MAX;
    FILE *file;

    if (snprintf(path, sizeof(path), "%s/sys/fs/cgroup%s/cpu.max", root, group) >=
        (int)sizeof(path))
        return cores;
    file = fopen(path, "re");
    if (!file)
        return cores;
    if (fscanf(file, "%llu %llu", &quota, &period) == 2 && period > 0 && quota / period < 4096)
        cores = (unsigned)((quota + period - 1) / period);
    fclose(file);
    return cores;
}

/* The group's own path, "/a/b" or "/"; "" if there is no such thing. */
static void find_group(const char *root, char group[PATH_MAX])
{
    char path[PATH_MAX], line[PATH_MAX];
    FILE *file;

    group[0] = '\0';
    if (snprintf(path, sizeof(path), "%s/proc/self/cgroup", root) >= (int)sizeof(path))
        return;
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            snprintf(group, PATH_MAX, "%s", line + 3);
    }
    if (file)
        fclose(file);
}

/* Each group above may have a limit of its own. */
static unsigned quota_of_groups(const char *root)
{
    char group[PATH_MAX];
    unsigned least;

    find_group(root, group);
    least = read_quota(root, "");
    for (char *slash; (slash = strrchr(group, '/')); *slash = '\0') {
        unsigned cores = read_quota(root, group);

        least = cores < least ? cores : least;
    }
    return least;
}

unsigned lb_cores_usable(const char *root)
{
    unsigned quota = quota_of_groups(root), cores = 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = (unsigned)CPU_COUNT(&set);
    cores = quota < cores ? quota : cores;
    return cores ? cores : 1;
}

/* One number, or two with a dash. Returns what follows, or NULL. */
static const char *parse_range(cpu_set_t *set, const char *text)
{
    char *end;
    unsigned long first = strtoul(text, &end, 10), last = first;

    if (end == text || *text < '0' || *text > '9')
        return NULL;
    if (*end == '-') {
        text = end + 1;
        last = strtoul(text, &end, 10);
        if (end == text || *text < '0' || *text > '9')
            return NULL;
    }
    if (last < first || last >= CPU_SETSIZE)
        return NULL;
    for (unsigned long core = first; core <= last; core++)
        CPU_SET(core, set);
    return end;
}

int lb_cores_parse(cpu_set_t *set, const char *list, struct lb_error *error)
{
    const char *text = list;
    cpu_set_t usable, both;

    CPU_ZERO(set);
    do {
        text = parse_range(set, text);
    } while (text && *text == ',' && *text++);
    if (!text || *text)
        return lb_error_set(error, -EINVAL,
                            "cpus=%s: not a list of cores; write numbers and ranges, as 0-3,8",
                            list);
    if (sched_getaffinity(0, sizeof(usable), &usable) < 0)
        return 0;
    CPU_AND(&both, set, &usable);
    if (!CPU_EQUAL(&both, set))
        return lb_error_set(
            error, -EINVAL,
            "cpus=%s: names cores that this process may not use; taskset -cp $$ lists "
            "those that it may",
            list);
    return 0;
}

int lb_cores_pick(const cpu_set_t *set, unsigned index)
{
    unsigned left = index % (unsigned)CPU_COUNT(set);

    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, set) && left-- == 0)
            return core;
    return 0;
}
