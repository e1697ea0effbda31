/* SPDX-License-Identifier: MIT */
#include "filtered_suite.h"
const struct test_case preludes_cases[] = {{NULL, NULL, 0, 0}};
