/* SPDX-License-Identifier: MIT */
#include "figures.h"

#include <assert.h>
#include <string.h>

void figures_add(struct figures *figures, const char *name, double value)
{
    assert(figures->count < FIGURES_MAX);
    figures->items[figures->count].name = name;
    figures->items[figures->count++].value = value;
}

const double *figures_find(const struct figures *figures, const char *name)
{
    for (size_t i = 0; i < figures->count; i++)
        if (strcmp(figures->items[i].name, name) == 0)
            return &figures->items[i].value;
    return NULL;
}
