/* SPDX-License-Identifier: MIT */
/*
 * The pool: fixed-size slots in one mapping, made at start and never grown.
 *
 * A slot is free (in the pool), taken (a backend has it, e.g. in the kernel's ring) or lent (a
 * chunk in it is with a stream). Only lent slots may be read; under AddressSanitizer all others
 * are poisoned, so that a sink which keeps a pointer crashes in a test and not at a user's.
 */
#ifndef LB_POOL_H
#define LB_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lb_slot_state { LB_SLOT_FREE, LB_SLOT_TAKEN, LB_SLOT_LENT };

struct lb_pool {
    uint8_t *base; /* page-aligned, count * slot_size bytes, touched only as slots are used */
    size_t slot_size;
    unsigned count;
    unsigned working; /* how many slots a backend should keep in use; the others are there for
                         slots that paused streams hold */
    unsigned free_count;
    unsigned *free;  /* a stack: the slot used last, the warmest, is taken first */
    uint8_t *states; /* of enum lb_slot_state */
};

/* slot_size is rounded up to a page. Returns 0, -ENOMEM, or -EOVERFLOW. */
int lb_pool_init(struct lb_pool *pool, size_t slot_size, unsigned working, unsigned reserve);
void lb_pool_done(struct lb_pool *pool);

static inline uint8_t *lb_pool_data(const struct lb_pool *pool, unsigned slot)
{
    return pool->base + (size_t)slot * pool->slot_size;
}

/* A free slot becomes taken. Returns false when none is free. */
bool lb_pool_take(struct lb_pool *pool, unsigned *slot);

/* A taken slot becomes free. */
void lb_pool_put(struct lb_pool *pool, unsigned slot);

/* Taken slots first .. first + slots - 1, which hold size bytes, become lent. */
void lb_pool_lend(struct lb_pool *pool, unsigned first, unsigned slots, size_t size);

/* Lent slots become taken again. */
void lb_pool_regain(struct lb_pool *pool, unsigned first, unsigned slots);

#endif
