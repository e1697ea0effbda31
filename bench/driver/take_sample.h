/* SPDX-License-Identifier: MIT */
#ifndef TAKE_SAMPLE_H
#define TAKE_SAMPLE_H

#include "sample.h"
#include "trial.h"

/* Makes the trial, with a receiver and a sender that are fresh processes, and checks what arrived.
 * Returns 0, or -1 with the sample's why. */
int take_sample(struct sample *sample, const struct trial *trial);

#endif
