/* SPDX-License-Identifier: MIT */
/* Descriptors, counted at the start: so many streams and workers as can have what they need. */
#ifndef LB_DESCRIPTORS_H
#define LB_DESCRIPTORS_H

#include "backend.h"

#include <lastbyte/lastbyte.h>

/* How many connections a worker may have accepted beyond its streams, of so many listeners. */
unsigned lb_descriptors_ahead(const struct lb_backend *backend, unsigned listeners);

/* How many streams of that sink can be under way at once with the descriptors that are left of this
 * process's limit, if so many connections may be accepted ahead of them; 1 if only one fits, and
 * nothing ahead of it, and 0 if not even that. */
unsigned lb_descriptors_streams(const struct lb_sink *sink, unsigned ahead);

/* How many workers there should be at most, so that each can have a stream and so many descriptors
 * beside what it waits with; at least 1. */
unsigned lb_descriptors_workers(const struct lb_sink *sink, unsigned beside);

#endif
