/* SPDX-License-Identifier: MIT */
/* Descriptors, counted at the start: so many streams as can have what they need. */
#ifndef LB_DESCRIPTORS_H
#define LB_DESCRIPTORS_H

#include <lastbyte/lastbyte.h>

/* How many streams of that sink can be under way at once with the descriptors that are left of this
 * process's limit, if so many connections may be accepted ahead of them; at least 1. */
unsigned lb_descriptors_streams(const struct lb_sink *sink, unsigned ahead);

#endif
