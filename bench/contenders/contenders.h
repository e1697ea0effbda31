/* SPDX-License-Identifier: MIT */
/* Everybody who can be measured in C. */
#ifndef CONTENDERS_H
#define CONTENDERS_H

#include "contender.h"

/* Ends with a NULL name. */
extern const struct contender contenders[];

/* NULL if there is none. */
const struct contender *contender_find(const char *name);

#endif
