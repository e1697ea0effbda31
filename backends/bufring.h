/* SPDX-License-Identifier: MIT */
/* The ring of slots that the kernel takes from, in the order they were provided. */
#ifndef LB_BUFRING_H
#define LB_BUFRING_H

#include "pool.h"
#include "uring_compat.h"

enum { LB_BUFRING_GROUP = 0, LB_BUFRING_MAX = 1 << 15 };

struct lb_bufring {
    struct io_uring_buf_ring *ring;
    struct lb_pool *pool;
    unsigned entries;  /* a power of two */
    unsigned provided; /* slots that the kernel has, or will have after publish */
    unsigned pending;  /* of them, not yet published */
    unsigned tail;     /* where the next slot goes; only ever grows */
    unsigned *order;   /* which slot is at a place of the ring */
    unsigned *place;   /* where a slot was put last */
};

/* Registers a ring with room for the pool's working slots. Nothing is provided yet. */
int lb_bufring_open(struct lb_bufring *bufring, struct io_uring *uring, struct lb_pool *pool);

/* After the io_uring is closed. */
void lb_bufring_close(struct lb_bufring *bufring);

/* Fills the ring from the pool up to the working set, and lets the kernel see what is new. */
void lb_bufring_publish(struct lb_bufring *bufring);

/* Taken slots go to the end of the ring, or to the pool when the working set is complete. */
void lb_bufring_return(struct lb_bufring *bufring, unsigned first, unsigned slots);

/* The kernel filled size bytes from slot on, through as many slots as that needs, in ring order.
 * Cuts off the first part that is contiguous in memory: returns its number of slots and bytes, and
 * moves *slot and *size on to the rest. */
unsigned lb_bufring_consume(struct lb_bufring *bufring, unsigned *slot, size_t *size,
                            size_t *part_size);

/* The kernel used up one slot without putting anything in it. */
void lb_bufring_skip(struct lb_bufring *bufring, unsigned slot);

#endif
