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
    pool->states = calloc(count, sizeof(*pool->states));
    if (!pool->free || !pool->states) {
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
    free(pool->states);
    *pool = (struct lb_pool){0};
}

bool lb_pool_take(struct lb_pool *pool, unsigned *slot)
{
    if (pool->free_count == 0)
        return false;
    *slot = pool->free[--pool->free_count];
    assert(pool->states[*slot] == LB_SLOT_FREE);
    pool->states[*slot] = LB_SLOT_TAKEN;
    return true;
}

void lb_pool_put(struct lb_pool *pool, unsigned slot)
{
    assert(slot < pool->count && pool->states[slot] == LB_SLOT_TAKEN);
    pool->states[slot] = LB_SLOT_FREE;
    pool->free[pool->free_count++] = slot;
}

void lb_pool_lend(struct lb_pool *pool, unsigned first, unsigned slots, size_t size)
{
    assert(slots > 0 && first + slots <= pool->count);
    assert(size > 0 && size <= slots * pool->slot_size);
    for (unsigned i = first; i < first + slots; i++) {
        assert(pool->states[i] == LB_SLOT_TAKEN);
        pool->states[i] = LB_SLOT_LENT;
    }
    unpoison(lb_pool_data(pool, first), size);
}

void lb_pool_regain(struct lb_pool *pool, unsigned first, unsigned slots)
{
    assert(slots > 0 && first + slots <= pool->count);
    for (unsigned i = first; i < first + slots; i++) {
        assert(pool->states[i] == LB_SLOT_LENT);
        pool->states[i] = LB_SLOT_TAKEN;
    }
    poison(lb_pool_data(pool, first), slots * pool->slot_size);
}
