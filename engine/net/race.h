/* SPDX-License-Identifier: MIT */
/* Connecting to the first of several addresses that answers (RFC 8305, in small). */
#ifndef LB_RACE_H
#define LB_RACE_H

#include <netdb.h>
#include <stdint.h>

/* Tries the addresses of list as lb_connect_with says, until deadline_ns of lb_clock_ns (0: as long
 * as the kernel does). Returns the winner, non-blocking, its SO_LINGER on with no time, or -errno.
 */
int lb_race(const struct addrinfo *list, uint64_t deadline_ns);

#endif
