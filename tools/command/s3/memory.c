/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* With those that it was promised: some are sent while two fill, and some that the store has not
 * answered yet. */
enum { EXTRA_PARTS = 4 };

struct s3_memory {
    pthread_mutex_t lock;
    void (*wake)(void *context, uint64_t id);
    void *context;
    uint8_t *mapping;
    size_t size;
    unsigned two_parts;  /* blocks of two first parts */
    unsigned small_free; /* of the share for first blocks */
    unsigned free;       /* of the rest, promised to nobody */
    struct s3_lease *first, **last;
    unsigned block_count;
    void *blocks[]; /* those that are free; what was used last comes first */
};

struct s3_memory *s3_memory_open(size_t size, size_t part, void (*wake)(void *context, uint64_t id),
                                 void *context)
{
    unsigned count = (unsigned)(size / S3_BLOCK_SIZE);
    struct s3_memory *memory = calloc(1, sizeof(*memory) + count * sizeof(void *));

    if (!memory)
        return NULL;
    memory->size = (size_t)count * S3_BLOCK_SIZE;
    memory->mapping = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory->mapping == MAP_FAILED) {
        free(memory);
        return NULL;
    }
    /* What peers send is nothing for a core. */
    madvise(memory->mapping, memory->size, MADV_DONTDUMP);
    /* Blocks are taken from the lowest on, so that few pages are touched by few streams. */
    madvise(memory->mapping, memory->size, MADV_HUGEPAGE);
    pthread_mutex_init(&memory->lock, NULL);
    memory->wake = wake;
    memory->context = context;
    memory->last = &memory->first;
    memory->two_parts = 2 * (unsigned)((part + S3_BLOCK_SIZE - 1) / S3_BLOCK_SIZE);
    assert(count >= memory->two_parts);
    memory->small_free = (count - memory->two_parts) / 4;
    memory->free = count - memory->small_free;
    while (memory->block_count < count) {
        size_t place = count - 1 - memory->block_count;

        memory->blocks[memory->block_count++] = memory->mapping + place * S3_BLOCK_SIZE;
    }
    return memory;
}

void s3_memory_close(struct s3_memory *memory)
{
    if (!memory)
        return;
    munmap(memory->mapping, memory->size);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

/* ---- under the lock -------------------------------------------------------------------------- */

/* Room for two parts, instead of what it has. */
static bool promise(struct s3_memory *memory, struct s3_lease *lease)
{
    if (memory->free < memory->two_parts)
        return false;
    memory->free -= memory->two_parts;
    memory->small_free += lease->small;
    lease->small = false;
    lease->promised = memory->two_parts;
    return true;
}

static void wake(const struct s3_memory *memory, struct s3_lease *lease)
{
    lease->waiting = false;
    memory->wake(memory->context, lease->id);
}

/* Those whose turn it is, in the order in which they asked. */
static void serve(struct s3_memory *memory)
{
    while (memory->first && promise(memory, memory->first)) {
        struct s3_lease *lease = memory->first;

        memory->first = lease->next;
        if (!memory->first)
            memory->last = &memory->first;
        lease->queued = false;
        wake(memory, lease);
    }
}

static void queue(struct s3_memory *memory, struct s3_lease *lease)
{
    if (lease->queued)
        return;
    lease->queued = true;
    lease->next = NULL;
    *memory->last = lease;
    memory->last = &lease->next;
}

static void unqueue(struct s3_memory *memory, struct s3_lease *lease)
{
    struct s3_lease **link = &memory->first;

    if (!lease->queued)
        return;
    while (*link != lease)
        link = &(*link)->next;
    *link = lease->next;
    if (!*link)
        memory->last = link;
    lease->queued = false;
}

/* May it have one block more, now? */
static bool allow(struct s3_memory *memory, struct s3_lease *lease)
{
    if (!lease->promised && memory->small_free > 0) {
        memory->small_free--;
        lease->small = true;
        lease->promised = 1;
    }
    if (lease->used < lease->promised + lease->extra)
        return true;
    if (lease->promised <= lease->small) {
        if (!memory->first && promise(memory, lease))
            return true;
        queue(memory, lease);
        return false;
    }
    if (memory->first || memory->free == 0 || lease->extra >= EXTRA_PARTS * lease->promised / 2)
        return false;
    memory->free--;
    lease->extra++;
    return true;
}

/* What it uses on top of what it was promised is all that it keeps of that. */
static void trim(struct s3_memory *memory, struct s3_lease *lease)
{
    unsigned needed = lease->used > lease->promised ? lease->used - lease->promised : 0;

    memory->free += lease->extra - needed;
    lease->extra = needed;
    serve(memory);
}

/* ---- from outside ---------------------------------------------------------------------------- */

void *s3_memory_take(struct s3_memory *memory, struct s3_lease *lease)
{
    void *block = NULL;

    pthread_mutex_lock(&memory->lock);
    if (allow(memory, lease)) {
        block = memory->blocks[--memory->block_count];
        lease->used++;
    }
    lease->waiting = !block;
    pthread_mutex_unlock(&memory->lock);
    return block;
}

void s3_memory_give(struct s3_memory *memory, struct s3_lease *lease, void *block)
{
    pthread_mutex_lock(&memory->lock);
    memory->blocks[memory->block_count++] = block;
    lease->used--;
    trim(memory, lease);
    if (lease->waiting && !lease->queued)
        wake(memory, lease);
    pthread_mutex_unlock(&memory->lock);
}

void s3_memory_ask_no_more(struct s3_memory *memory, struct s3_lease *lease)
{
    pthread_mutex_lock(&memory->lock);
    unqueue(memory, lease);
    lease->waiting = false;
    pthread_mutex_unlock(&memory->lock);
}

void s3_memory_leave(struct s3_memory *memory, struct s3_lease *lease)
{
    pthread_mutex_lock(&memory->lock);
    assert(lease->used == 0);
    unqueue(memory, lease);
    if (lease->small)
        memory->small_free++;
    else
        memory->free += lease->promised;
    memory->free += lease->extra;
    *lease = (struct s3_lease){.id = lease->id};
    serve(memory);
    pthread_mutex_unlock(&memory->lock);
}

size_t s3_memory_grow(struct s3_memory *memory, struct s3_lease *lease, size_t part)
{
    unsigned wanted = 2 * (unsigned)((part + S3_BLOCK_SIZE - 1) / S3_BLOCK_SIZE);
    unsigned had;

    pthread_mutex_lock(&memory->lock);
    had = lease->promised;
    if (!lease->small && memory->first && had > memory->two_parts) {
        /* What is in use of it comes back as it becomes free. */
        lease->promised = memory->two_parts;
        lease->extra += had - lease->promised;
        trim(memory, lease);
    } else if (!lease->small && !memory->first && wanted > had && memory->free >= wanted - had) {
        memory->free -= wanted - had;
        lease->promised = wanted;
    }
    had = lease->promised > memory->two_parts ? lease->promised : memory->two_parts;
    pthread_mutex_unlock(&memory->lock);
    return (size_t)had / 2 * S3_BLOCK_SIZE;
}
