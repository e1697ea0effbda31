/* SPDX-License-Identifier: MIT */
/* Names that the server makes for streams, with nothing of the peer's in them. */
#ifndef LB_STAMP_H
#define LB_STAMP_H

enum { LB_STAMP_SIZE = 72 };

/* A name that no other stream of this process has: the time and a number,
 * "20261122T065855.123456Z-000001". */
void lb_stamp_make(char stamp[LB_STAMP_SIZE]);

#endif
