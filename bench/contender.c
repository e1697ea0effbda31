/* SPDX-License-Identifier: MIT */
#include "contender.h"

#include "workload.h"

#include <string.h>

const struct contender *contender_find(const char *name)
{
    for (const struct contender *contender = contenders; contender->name; contender++)
        if (strcmp(contender->name, name) == 0)
            return contender;
    return NULL;
}

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
