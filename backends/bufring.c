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

int lb_bufring_open(struct lb_bufring *bufring, struct io_uring *uring, struct lb_pool *pool)
{
    struct io_uring_buf_reg registration = {.bgid = LB_BUFRING_GROUP};
    int rc;

    *bufring = (struct lb_bufring){.pool = pool, .entries = round_up_to_power(pool->working)};
    if (bufring->entries > LB_BUFRING_MAX)
        return -E2BIG;
    bufring->order = calloc(bufring->entries, sizeof(*bufring->order));
    bufring->place = calloc(pool->count, sizeof(*bufring->place));
    bufring->ring = mmap(NULL, bufring->entries * sizeof(struct io_uring_buf),
                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bufring->ring == MAP_FAILED)
        bufring->ring = NULL;
    if (!bufring->order || !bufring->place || !bufring->ring) {
        lb_bufring_close(bufring);
        return -ENOMEM;
    }
    io_uring_buf_ring_init(bufring->ring);
    registration.ring_addr = (uintptr_t)bufring->ring;
    registration.ring_entries = bufring->entries;
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
    free(bufring->place);
    *bufring = (struct lb_bufring){0};
}

static void provide(struct lb_bufring *bufring, unsigned slot)
{
    unsigned mask = bufring->entries - 1;

    assert(bufring->provided < bufring->entries);
    io_uring_buf_ring_add(bufring->ring, lb_pool_data(bufring->pool, slot),
                          (unsigned)bufring->pool->slot_size, (unsigned short)slot, (int)mask,
                          (int)bufring->pending);
    bufring->order[bufring->tail & mask] = slot;
    bufring->place[slot] = bufring->tail & mask;
    bufring->tail++;
    bufring->pending++;
    bufring->provided++;
}

void lb_bufring_publish(struct lb_bufring *bufring)
{
    unsigned slot;

    while (bufring->provided < bufring->pool->working && lb_pool_take(bufring->pool, &slot))
        provide(bufring, slot);
    if (bufring->pending)
        io_uring_buf_ring_advance(bufring->ring, (int)bufring->pending);
    bufring->pending = 0;
}

void lb_bufring_return(struct lb_bufring *bufring, unsigned first, unsigned slots)
{
    for (unsigned slot = first; slot < first + slots; slot++) {
        /* Straight back into the ring, in order: neighbours in memory stay neighbours there. */
        if (bufring->provided < bufring->pool->working)
            provide(bufring, slot);
        else
            lb_pool_put(bufring->pool, slot);
    }
}

unsigned lb_bufring_consume(struct lb_bufring *bufring, unsigned *slot, size_t *size,
                            size_t *part_size)
{
    size_t slot_size = bufring->pool->slot_size;
    unsigned mask = bufring->entries - 1;
    unsigned place = bufring->place[*slot];
    unsigned slots = 1;

    while (slots * slot_size < *size && bufring->order[(place + slots) & mask] == *slot + slots)
        slots++;
    *part_size = slots * slot_size < *size ? slots * slot_size : *size;
    *size -= *part_size;
    *slot = bufring->order[(place + slots) & mask];
    assert(bufring->provided >= slots);
    bufring->provided -= slots;
    return slots;
}

void lb_bufring_skip(struct lb_bufring *bufring, unsigned slot)
{
    assert(bufring->provided > 0);
    bufring->provided--;
    lb_bufring_return(bufring, slot, 1);
}
