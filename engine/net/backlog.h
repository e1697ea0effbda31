/* SPDX-License-Identifier: MIT */
/* The backlog: peers that the kernel has accepted, and nobody here has. */
#ifndef LB_BACKLOG_H
#define LB_BACKLOG_H

#include "listener.h"

#include <stdbool.h>

/* Peers wait at sockets that the worker alone accepts from, or may do so: those that are neither
 * borrowed nor lent. */
bool lb_backlog_waits(const struct lb_listener_list *list, unsigned worker);

/* No more peers come to these; those that wait there can be accepted still. A Unix socket at which
 * nobody waits is left as it is. */
void lb_backlog_freeze(const struct lb_listener_list *list, unsigned worker);

/* Accepts a peer that waits at one of these; its index in the list is told. Returns a close-on-exec
 * descriptor that the caller owns, -EAGAIN if nobody waits, or another -errno. */
int lb_backlog_take(const struct lb_listener_list *list, unsigned worker, int *index);

/* The same of a socket that is borrowed or lent. */
int lb_backlog_take_shared(const struct lb_listener_list *list, int *index);

#endif
