/* SPDX-License-Identifier: MIT */
/* Names, asked for no longer than somebody wants to wait. */
#ifndef LB_RESOLVER_H
#define LB_RESOLVER_H

#include "address.h"

#include <stdint.h>

/* The addresses of a host in a family (AF_UNSPEC, AF_INET, AF_INET6), to connect to; of none: this
 * machine's. A resolver can't be interrupted, so with a deadline it is asked in a thread of its
 * own; when that passes the thread is left to end by itself, and its answer dropped. A number needs
 * no thread. deadline_ns: of lb_clock_ns, 0: none. *list is the caller's, to free with
 * freeaddrinfo. Returns 0, or -ETIMEDOUT or another -errno with a reason. */
int lb_resolve(const struct lb_address *address, int family, uint64_t deadline_ns,
               struct addrinfo **list, struct lb_error *error);

#endif
