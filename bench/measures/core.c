/* SPDX-License-Identifier: MIT */
#include "core.h"

#include <errno.h>
#include <sched.h>

int core_usable(int index)
{
    cpu_set_t set;
    int last = 0;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 0;
    for (int core = 0; core < CPU_SETSIZE && index >= 0; core++) {
        if (!CPU_ISSET(core, &set))
            continue;
        last = core;
        index--;
    }
    return last;
}

bool core_is_usable(int core)
{
    cpu_set_t set;

    if (core < 0 || core >= CPU_SETSIZE || sched_getaffinity(0, sizeof(set), &set) < 0)
        return false;
    return CPU_ISSET(core, &set);
}

int core_pin(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (core < 0 || core >= CPU_SETSIZE)
        return -EINVAL;
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}
