/* SPDX-License-Identifier: MIT */
/* What a sample is told as: names and numbers. */
#ifndef FIGURES_H
#define FIGURES_H

#include <stddef.h>

struct trial;
struct sample;

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

/* Of a trial that went well. */
void figures_make(struct figures *figures, const struct trial *trial, const struct sample *sample);

/* Of another trial of the same kind, with system calls counted; adds nothing if they were not. */
void figures_add_syscalls(struct figures *figures, const struct trial *trial,
                          const struct sample *sample);

#endif
