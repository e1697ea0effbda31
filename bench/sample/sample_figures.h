/* SPDX-License-Identifier: MIT */
/* What a sample is told as. */
#ifndef SAMPLE_FIGURES_H
#define SAMPLE_FIGURES_H

#include "figures.h"
#include "sample.h"
#include "trial.h"

/* Of a trial that went well. */
void sample_figures(struct figures *figures, const struct trial *trial,
                    const struct sample *sample);

/* Of another trial of the same kind, with system calls counted; adds nothing if they were not. */
void sample_syscall_figures(struct figures *figures, const struct trial *trial,
                            const struct sample *sample);

#endif
