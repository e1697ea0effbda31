/* SPDX-License-Identifier: MIT */
#include "bufring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static unsigned round_up_to_power(unsigned value)
{
    unsigned power = 1;

    while (power < value)
        power *= 2;
    return power;
}

int lb_bufring_open(struct lb_bufring *bufring, struct io_uring *uring, struct lb_pool *pool,
                    bool incremental)
{
    struct io_uring_buf_reg registration = {.bgid = LB_BUFRING_GROUP};
    int rc;

    *bufring = (struct lb_bufring){
        .pool = pool,
        .incremental = incremental,
        .entries = round_up_to_power(pool->working),
    };
    if (bufring->entries > LB_BUFRING_MAX)
        return -E2BIG;
    bufring->order = calloc(bufring->entries, sizeof(*bufring->order));
    bufring->used = calloc(pool->count, sizeof(*bufring->used));
    bufring->ring = mmap(NULL, bufring->entries * sizeof(struct io_uring_buf),
                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bufring->ring == MAP_FAILED)
        bufring->ring = NULL;
    if (!bufring->order || !bufring->used || !bufring->ring) {
        lb_bufring_close(bufring);
        return -ENOMEM;
    }
    io_uring_buf_ring_init(bufring->ring);
    registration.ring_addr = (uintptr_t)bufring->ring;
    registration.ring_entries = bufring->entries;
    if (incremental)
        registration.LB_BUF_REG_FLAGS = LB_PBUF_RING_INC;
    rc = io_uring_register_buf_ring(uring, &registration, 0);
    if (rc < 0)
        lb_bufring_close(bufring);
    return rc;
}

void lb_bufring_close(struct lb_bufring *bufring)
{
    if (bufring->ring)
        munmap(bufring->ring, bufring->entries * sizeof(struct io_uring_buf));
    free(bufring->order);
    free(bufring->used);
    *bufring = (struct lb_bufring){0};
}

static unsigned slot_at(const struct lb_bufring *bufring, unsigned place)
{
    return bufring->order[place & (bufring->entries - 1)];
}

static void provide(struct lb_bufring *bufring, unsigned slot)
{
    unsigned mask = bufring->entries - 1;

    assert(lb_bufring_provided(bufring) < bufring->entries);
    io_uring_buf_ring_add(bufring->ring, lb_pool_data(bufring->pool, slot),
                          (unsigned)bufring->pool->slot_size, (unsigned short)slot, (int)mask,
                          (int)bufring->pending);
    bufring->order[bufring->tail & mask] = slot;
    bufring->used[slot] = 0;
    bufring->tail++;
    bufring->pending++;
}

void lb_bufring_publish(struct lb_bufring *bufring)
{
    unsigned slot;

    while (lb_bufring_provided(bufring) < bufring->pool->working &&
           lb_pool_take(bufring->pool, &slot))
        provide(bufring, slot);
    if (bufring->pending)
        io_uring_buf_ring_advance(bufring->ring, (int)bufring->pending);
    bufring->pending = 0;
}

/* Straight back into the ring, in order: neighbours in memory stay neighbours there. */
static void reuse(struct lb_bufring *bufring, unsigned slot)
{
    if (lb_bufring_provided(bufring) < bufring->pool->working)
        provide(bufring, slot);
    else
        lb_pool_put(bufring->pool, slot);
}

static bool is_done(const struct lb_bufring *bufring, unsigned slot)
{
    return bufring->used[slot] == bufring->pool->slot_size && bufring->pool->slots[slot].lent == 0;
}

/* The kernel is done with the slot at head. */
static void advance_head(struct lb_bufring *bufring)
{
    unsigned slot = slot_at(bufring, bufring->head);

    assert(lb_bufring_provided(bufring) > 0);
    bufring->used[slot] = (uint32_t)bufring->pool->slot_size;
    bufring->head++;
}

/* The kernel is at slot now. What it left behind on the way, a slot that it ended at an EOF say, is
 * done with; believing the order instead of flags makes that certain (liburing issues 1545, 1553
 * tell of flags that were wrong). */
static void catch_up(struct lb_bufring *bufring, unsigned slot)
{
    while (slot_at(bufring, bufring->head) != slot) {
        unsigned left = slot_at(bufring, bufring->head);

        advance_head(bufring);
        if (is_done(bufring, left))
            reuse(bufring, left);
    }
}

uint8_t *lb_bufring_consume(struct lb_bufring *bufring, unsigned *slot, size_t *size,
                            size_t *part_size)
{
    size_t slot_size = bufring->pool->slot_size;
    uint8_t *data, *end;

    catch_up(bufring, *slot);
    data = end = lb_pool_data(bufring->pool, *slot) + bufring->used[*slot];
    while (*size > 0 && lb_pool_data(bufring->pool, *slot) + bufring->used[*slot] == end) {
        size_t left = slot_size - bufring->used[*slot];
        size_t part = *size < left ? *size : left;

        end += part;
        *size -= part;
        bufring->used[*slot] += (uint32_t)part;
        if (part == left || !bufring->incremental)
            advance_head(bufring);
        if (*size > 0)
            *slot = slot_at(bufring, bufring->head);
    }
    *part_size = (size_t)(end - data);
    lb_pool_lend(bufring->pool, data, *part_size);
    return data;
}

void lb_bufring_give_back(struct lb_bufring *bufring, uint8_t *data, size_t size)
{
    struct lb_pool *pool = bufring->pool;
    unsigned first = lb_pool_slot(pool, data);
    unsigned last = lb_pool_slot(pool, data + size - 1);

    lb_pool_regain(pool, data, size);
    for (unsigned slot = first; slot <= last; slot++)
        if (is_done(bufring, slot))
            reuse(bufring, slot);
}

void lb_bufring_skip(struct lb_bufring *bufring, unsigned slot)
{
    catch_up(bufring, slot);
    if (bufring->incremental)
        return; /* the kernel has put nothing in it, so it goes on there, or past it: see catch_up
                 */
    advance_head(bufring);
    reuse(bufring, slot);
}
