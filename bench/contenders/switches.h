/* SPDX-License-Identifier: MIT */
/*
 * What the engine decides by itself, set from outside, so that each of it can be told apart: the
 * factorial. And what it decides about gathering, recorded, so that a floor can do likewise.
 *
 * The engine knows nothing of this. The linker puts functions of this file in front of its own
 * (--wrap, in meson.build), which is why it works with the static library alone.
 */
#ifndef SWITCHES_H
#define SWITCHES_H

#include <stdbool.h>

struct schedule;

struct switches {
    bool gather;      /* as --tune=save-cpu does, or never */
    bool spare_acks;  /* of all streams, or of none */
    bool bundles;     /* where the kernel has them */
    bool incremental; /* likewise */
};

/* Of this process's engine, before it is opened. NULL: all as it decides. */
void switches_set(const struct switches *switches);

/* Records what its one worker decides, from now on. */
void switches_record(struct schedule *schedule);

#endif
