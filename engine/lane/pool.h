/* SPDX-License-Identifier: MIT */
/*
 * The pool: fixed-size slots in one mapping, made at start and never grown.
 *
 * A slot is free (in the pool) or taken (a backend has it, in the kernel's ring perhaps). Parts of
 * taken slots, and runs of neighbours, are lent as chunks. Only lent bytes may be read; under
 * AddressSanitizer all others are poisoned, so that a sink which keeps a pointer crashes in a test
 * and not at a user's.
 */
#ifndef LB_POOL_H
#define LB_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lb_slot {
    uint32_t lent; /* bytes with streams */
    bool taken;
};

struct lb_pool {
    uint8_t *base; /* page-aligned, count * slot_size bytes, touched only as slots are used */
    size_t slot_size;
    unsigned count;
    unsigned working; /* how many slots a backend should keep in use; the others are there for
                         slots that paused streams hold */
    unsigned free_count;
    unsigned *free; /* a stack: the slot used last, the warmest, is taken first */
    struct lb_slot *slots;
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

/* A taken slot of which nothing is lent becomes free. */
void lb_pool_put(struct lb_pool *pool, unsigned slot);

static inline unsigned lb_pool_slot(const struct lb_pool *pool, const uint8_t *data)
{
    return (unsigned)((size_t)(data - pool->base) / pool->slot_size);
}

/* Lets a system call write into a taken slot, and ends that again. The kernel needs no leave, but
 * AddressSanitizer checks what recv(2) writes; a ring of the kernel's it doesn't see. */
void lb_pool_uncover(struct lb_pool *pool, unsigned slot);
void lb_pool_cover(struct lb_pool *pool, unsigned slot);

/* size bytes at data, within taken slots, are lent. */
void lb_pool_lend(struct lb_pool *pool, uint8_t *data, size_t size);

/* The same bytes come back. */
void lb_pool_regain(struct lb_pool *pool, uint8_t *data, size_t size);

#endif
