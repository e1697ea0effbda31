/* SPDX-License-Identifier: MIT */
#include "contenders.h"

#include <string.h>

const struct contender *contender_find(const char *name)
{
    for (const struct contender *contender = contenders; contender->name; contender++)
        if (strcmp(contender->name, name) == 0)
            return contender;
    return NULL;
}
