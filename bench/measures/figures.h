/* SPDX-License-Identifier: MIT */
/* What somebody is told: names and numbers. */
#ifndef FIGURES_H
#define FIGURES_H

#include <stddef.h>

enum { FIGURES_MAX = 48 };

struct figures {
    struct {
        const char *name; /* static */
        double value;
    } items[FIGURES_MAX];
    size_t count;
};

void figures_add(struct figures *figures, const char *name, double value);

/* NULL if there is none of that name. */
const double *figures_find(const struct figures *figures, const char *name);

#endif
