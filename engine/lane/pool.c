/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define LB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LB_ASAN 1
#endif
#endif

#ifdef LB_ASAN
#include <sanitizer/asan_interface.h>
#define poison(data, size) ASAN_POISON_MEMORY_REGION(data, size)
#define unpoison(data, size) ASAN_UNPOISON_MEMORY_REGION(data, size)
#else
#define poison(data, size) ((void)(data), (void)(size))
#define unpoison(data, size) ((void)(data), (void)(size))
#endif

int lb_pool_init(struct lb_pool *pool, size_t slot_size, unsigned working, unsigned reserve)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t total;
    unsigned count;

    assert(slot_size > 0 && working > 0);
    *pool = (struct lb_pool){.working = working};
    if (__builtin_add_overflow(slot_size, page - 1, &pool->slot_size) ||
        __builtin_add_overflow(working, reserve, &count))
        return -EOVERFLOW;
    pool->slot_size &= ~(page - 1);
    if (__builtin_mul_overflow(pool->slot_size, (size_t)count, &total))
        return -EOVERFLOW;

    pool->base = mmap(NULL, total, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pool->base == MAP_FAILED) {
        pool->base = NULL;
        return -ENOMEM;
    }
    pool->count = count;
    pool->free = calloc(count, sizeof(*pool->free));
    pool->slots = calloc(count, sizeof(*pool->slots));
    if (!pool->free || !pool->slots) {
        lb_pool_done(pool);
        return -ENOMEM;
    }
    poison(pool->base, total);
    for (unsigned i = 0; i < count; i++)
        pool->free[i] = count - 1 - i;
    pool->free_count = count;
    return 0;
}

void lb_pool_done(struct lb_pool *pool)
{
    if (pool->base) {
        unpoison(pool->base, pool->slot_size * pool->count);
        munmap(pool->base, pool->slot_size * pool->count);
    }
    free(pool->free);
    free(pool->slots);
    *pool = (struct lb_pool){0};
}

bool lb_pool_take(struct lb_pool *pool, unsigned *slot)
{
    if (pool->free_count == 0)
        return false;
    *slot = pool->free[--pool->free_count];
    assert(!pool->slots[*slot].taken && pool->slots[*slot].lent == 0);
    pool->slots[*slot].taken = true;
    return true;
}

void lb_pool_put(struct lb_pool *pool, unsigned slot)
{
    assert(slot < pool->count && pool->slots[slot].taken && pool->slots[slot].lent == 0);
    pool->slots[slot].taken = false;
    pool->free[pool->free_count++] = slot;
}

void lb_pool_uncover(struct lb_pool *pool, unsigned slot)
{
    unpoison(lb_pool_data(pool, slot), pool->slot_size);
}

void lb_pool_cover(struct lb_pool *pool, unsigned slot)
{
    poison(lb_pool_data(pool, slot), pool->slot_size);
}

/* How many bytes of a run that begins at data and has size bytes lie in data's slot. */
static size_t within_slot(const struct lb_pool *pool, const uint8_t *data, size_t size)
{
    size_t left = pool->slot_size - (size_t)(data - pool->base) % pool->slot_size;

    return size < left ? size : left;
}

void lb_pool_lend(struct lb_pool *pool, uint8_t *data, size_t size)
{
    unpoison(data, size);
    while (size > 0) {
        size_t part = within_slot(pool, data, size);
        struct lb_slot *slot = &pool->slots[lb_pool_slot(pool, data)];

        assert(slot->taken && slot->lent + part <= pool->slot_size);
        slot->lent += (uint32_t)part;
        data += part;
        size -= part;
    }
}

void lb_pool_regain(struct lb_pool *pool, uint8_t *data, size_t size)
{
    poison(data, size);
    while (size > 0) {
        size_t part = within_slot(pool, data, size);
        struct lb_slot *slot = &pool->slots[lb_pool_slot(pool, data)];

        assert(slot->taken && slot->lent >= part);
        slot->lent -= (uint32_t)part;
        data += part;
        size -= part;
    }
}
