/* SPDX-License-Identifier: MIT */
#include "contender.h"

#include "workload.h"

bool contender_serves(const struct contender *contender, const struct workload *workload)
{
    return (workload->demands & ~contender->offers) == 0 &&
           (contender->only & ~workload->demands) == 0;
}

const char *contender_missing(const struct contender *contender, char *buffer, size_t size)
{
    return contender->missing ? contender->missing(contender, buffer, size) : NULL;
}
