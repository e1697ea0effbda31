/* SPDX-License-Identifier: MIT */
/* How many streams each peer has: an address of IPv4, a network of IPv6 (/64), whatever the port,
 * or a user at a Unix socket. Shared by all workers; touched when a stream comes and when it goes.
 * Its memory is fixed. */
#ifndef LB_CROWD_H
#define LB_CROWD_H

#include "peer.h"

#include <pthread.h>

struct lb_crowd_entry {
    uint8_t key[20];
    uint32_t streams;
    uint32_t next; /* in its bucket's chain or the free list: index + 1; 0: none */
};

struct lb_crowd {
    unsigned limit; /* streams per peer; 0: any number, and nothing is counted */
    uint64_t seed;  /* so that no peer can choose its bucket */
    pthread_mutex_t lock;
    struct lb_crowd_entry *entries;
    uint32_t *buckets;
    uint32_t mask;
    uint32_t free;
    uint32_t touched, capacity;
};

/* capacity: how many peers there can be at a time. Returns 0 or -ENOMEM. */
int lb_crowd_init(struct lb_crowd *crowd, unsigned limit, unsigned capacity);
void lb_crowd_done(struct lb_crowd *crowd);

/* One more stream of peer; returns false if it has as many as it may. */
bool lb_crowd_join(struct lb_crowd *crowd, const union lb_peer *peer);
/* One that had joined is gone. */
void lb_crowd_leave(struct lb_crowd *crowd, const union lb_peer *peer);

#endif
