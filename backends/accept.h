/* SPDX-License-Identifier: MIT */
/* Accepting by readiness, for the backends that work so. */
#ifndef LB_ACCEPT_H
#define LB_ACCEPT_H

#include "backend.h"

/* Accepts from one of the listeners, which is non-blocking, until it is empty or max events are
 * written. Errors of a single connection are skipped (accept(2): "treat them like EAGAIN"). Returns
 * how many events were written: LB_EVENT_ACCEPTED, and LB_EVENT_ACCEPT_FAILED as the last one. */
unsigned lb_accept_batch(const struct lb_backend_config *config, size_t listener,
                         struct lb_event *events, unsigned max);

/* An error that belongs to one connection, not to accepting; error is -errno. */
bool lb_accept_is_transient(int error);

#endif
