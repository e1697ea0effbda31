/* SPDX-License-Identifier: MIT */
/* The built-in filters: one file each, one const table of them all (table.c). */
#ifndef LB_FILTERS_H
#define LB_FILTERS_H

#include "filter.h"

extern const struct lb_filter lb_filter_proxy, lb_filter_tls, lb_filter_seal;

#endif
