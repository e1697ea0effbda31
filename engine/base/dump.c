/* SPDX-License-Identifier: MIT */
#include "dump.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int lb_dump_forbid(void)
{
    struct rlimit limit;

    if (prctl(PR_SET_DUMPABLE, 0) < 0 || getrlimit(RLIMIT_CORE, &limit) < 0)
        return -errno;
    limit.rlim_cur = 0;
    return setrlimit(RLIMIT_CORE, &limit) < 0 ? -errno : 0;
}
