/* SPDX-License-Identifier: MIT */
#include "contender.h"

#include "workload.h"

bool contender_serves(const struct contender *contender, const struct workload *workload)
{
    if (contender->direct && !(workload->demands & DEMAND_FILES))
        return false;
    return (workload->demands & ~contender->offers) == 0;
}

const char *contender_missing(const struct contender *contender, char *buffer, size_t size)
{
    return contender->missing ? contender->missing(contender, buffer, size) : NULL;
}
