/* SPDX-License-Identifier: MIT */
#ifndef SUITE_LIST_H
#define SUITE_LIST_H

#include "suite.h"

/* Says on standard output what there is, as text or as JSON. Returns 0 or 1. */
int suite_list(const struct suite *suite);

#endif
