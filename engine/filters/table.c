/* SPDX-License-Identifier: MIT */
#include "filters.h"

#include <stddef.h>

const struct lb_filter *const lb_filters[] = {&lb_filter_proxy, &lb_filter_tls, &lb_filter_seal,
                                              NULL};
