/* SPDX-License-Identifier: MIT */
/* Everything that can be sent. */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#include "workload.h"

/* Ends with a NULL name. */
extern const struct workload workloads[];

/* NULL if there is none. */
const struct workload *workload_find(const char *name);

#endif
