/* SPDX-License-Identifier: MIT */
/* Names that the server makes for streams, with nothing of the peer's in them. */
#ifndef LB_STAMP_H
#define LB_STAMP_H

#include <stdbool.h>
#include <stddef.h>

enum { LB_STAMP_SIZE = 72 };

/* A name that no other stream of this process has: the time and a number,
 * "20261122T065855.123456Z-000001". */
void lb_stamp_make(char stamp[LB_STAMP_SIZE]);

/* Some process may have made this. */
bool lb_stamp_matches(const char *text, size_t size);

#endif
