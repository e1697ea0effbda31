/* SPDX-License-Identifier: MIT */
/* What a run is told as: names and numbers. */
#ifndef FIGURES_H
#define FIGURES_H

#include <stddef.h>

struct plan;
struct run;

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

/* Of a run that went well. */
void figures_make(struct figures *figures, const struct plan *plan, const struct run *run);

/* Of another run of the same kind, with system calls counted; adds nothing if they were not. */
void figures_add_syscalls(struct figures *figures, const struct plan *plan, const struct run *run);

#endif
