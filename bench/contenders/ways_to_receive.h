/* SPDX-License-Identifier: MIT */
/* The ways to receive that the table of contenders is made of. */
#ifndef WAYS_TO_RECEIVE_H
#define WAYS_TO_RECEIVE_H

#include "contender.h"

#include <stddef.h>

int ours_receive(const struct contender *contender, struct receiver *receiver);
const char *ours_missing(const struct contender *contender, char *buffer, size_t size);

/* One stream after another, by blocking receives. */
int loop_receive(const struct contender *contender, struct receiver *receiver);
int naive_receive(const struct contender *contender, struct receiver *receiver);
int trunc_receive(const struct contender *contender, struct receiver *receiver);

int plain_epoll_receive(const struct contender *contender, struct receiver *receiver);
int sleep_receive(const struct contender *contender, struct receiver *receiver);
int plain_uring_receive(const struct contender *contender, struct receiver *receiver);
const char *plain_uring_missing(const struct contender *contender, char *buffer, size_t size);

/* The best of either kind without our engine. */
int best_epoll_receive(const struct contender *contender, struct receiver *receiver);
int best_uring_receive(const struct contender *contender, struct receiver *receiver);
/* Through TLS: an SSL_read loop; and what deciphering alone costs. */
int plain_openssl_receive(const struct contender *contender, struct receiver *receiver);
int cipher_receive(const struct contender *contender, struct receiver *receiver);

/* Has the pages of a stream mapped, and copies what can't be. */
int mapped_receive(const struct contender *contender, struct receiver *receiver);

int libuv_receive(const struct contender *contender, struct receiver *receiver);
int libevent_receive(const struct contender *contender, struct receiver *receiver);

#endif
