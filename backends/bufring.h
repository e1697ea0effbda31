/* SPDX-License-Identifier: MIT */
/* The ring of slots that the kernel fills, in the order they were provided. */
#ifndef LB_BUFRING_H
#define LB_BUFRING_H

#include "pool.h"
#include "uring_compat.h"

enum { LB_BUFRING_GROUP = 0, LB_BUFRING_MAX = 1 << 15 };

struct lb_bufring {
    struct io_uring_buf_ring *ring;
    struct lb_pool *pool;
    bool incremental; /* the kernel fills a slot by several receives, and then goes on */
    unsigned entries; /* a power of two */
    unsigned head;    /* the place that the kernel fills now; only ever grows */
    unsigned tail;    /* where the next slot goes; only ever grows */
    unsigned pending; /* slots before tail that the kernel can't see yet */
    unsigned *order;  /* which slot is at a place of the ring */
    uint32_t *used;   /* bytes of each slot that the kernel has filled; slot_size: done with */
};

/* Registers a ring with room for the pool's working slots. Nothing is provided yet. -EINVAL if the
 * kernel has no incremental buffers and they are asked for. */
int lb_bufring_open(struct lb_bufring *bufring, struct io_uring *uring, struct lb_pool *pool,
                    bool incremental);

/* After the io_uring is closed. */
void lb_bufring_close(struct lb_bufring *bufring);

/* How many slots the kernel has, or will have after publish. */
static inline unsigned lb_bufring_provided(const struct lb_bufring *bufring)
{
    return bufring->tail - bufring->head;
}

/* Fills the ring from the pool up to the working set, and lets the kernel see what is new. */
void lb_bufring_publish(struct lb_bufring *bufring);

/* The kernel put size bytes into the ring, beginning in slot. Cuts off and lends the first part
 * that is contiguous in memory: returns where it is, writes how much, and moves *slot and *size on
 * to the rest. */
uint8_t *lb_bufring_consume(struct lb_bufring *bufring, unsigned *slot, size_t *size,
                            size_t *part_size);

/* A part comes back; slots that are done with go to the end of the ring, or to the pool when the
 * working set is complete. */
void lb_bufring_give_back(struct lb_bufring *bufring, uint8_t *data, size_t size);

/* The kernel used up slot without putting anything in it. */
void lb_bufring_skip(struct lb_bufring *bufring, unsigned slot);

#endif
