/* SPDX-License-Identifier: MIT */
#ifndef MEASURED_H
#define MEASURED_H

#include "filter.h"

extern const struct lb_filter measured_filter;

#endif
