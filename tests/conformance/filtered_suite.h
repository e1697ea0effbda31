/* SPDX-License-Identifier: MIT */
/* What only the suite with test filters has. */
#ifndef FILTERED_SUITE_H
#define FILTERED_SUITE_H

#include "suite.h"

extern const struct test_case preludes_cases[], filters_cases[], edges_cases[];

#endif
