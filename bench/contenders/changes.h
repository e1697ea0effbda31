/* SPDX-License-Identifier: MIT */
/* What best-uring, best-epoll and the loops can do otherwise, one thing at a time. With
 * CHANGE_NOTHING, and for changes that are not theirs, none of this does anything. */
#ifndef CHANGES_H
#define CHANGES_H

#include "contender.h"

#include <liburing.h>
#include <stdbool.h>

/* How a ring is opened. core: the receiver's, or negative. */
void change_parameters(struct io_uring_params *parameters, enum change change, int core);

/* Once it is open. Returns 0 or -errno. */
int change_ring(struct io_uring *ring, enum change change);

/* Submits, and waits for a completion. registered: by io_uring_register_ring_fd. Returns a negative
 * errno if that failed. */
int change_wait(struct io_uring *ring, enum change change, bool registered);

/* Of an epoll descriptor, and of a listening socket, whose streams are as it is. Both return 0, or
 * -1 with errno. */
int change_epoll(int epoll, enum change change);
int change_socket(int listener, enum change change);

/* For the table: the system has not what the contender changes. */
const char *change_missing(const struct contender *contender, char *buffer, size_t size);

#endif
