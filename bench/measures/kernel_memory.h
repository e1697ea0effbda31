/* SPDX-License-Identifier: MIT */
/* What the kernel holds: objects of its caches, and the memory of TCP sockets. Of the whole
 * machine, so of what has grown only that is told which goes by the number of streams. */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_CACHES_MAX = 512, KERNEL_CACHE_NAME = 40 };

struct kernel_cache {
    char name[KERNEL_CACHE_NAME];
    uint64_t objects, size; /* of each */
};

struct kernel_memory {
    bool known; /* /proc/slabinfo is root's */
    size_t caches;
    struct kernel_cache cache[KERNEL_CACHES_MAX];
    uint64_t sockets; /* bytes in the queues of all TCP sockets */
};

void kernel_memory_read(struct kernel_memory *memory);

/* Bytes of the objects that each of so many streams has, which came between the two: of each cache
 * a whole number, but for those of files, which others open meanwhile. */
uint64_t kernel_memory_objects(const struct kernel_memory *before,
                               const struct kernel_memory *after, unsigned streams);

#endif
