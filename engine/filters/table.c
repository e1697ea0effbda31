/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include <stddef.h>

const struct lb_filter *const lb_filters[] = {NULL};
