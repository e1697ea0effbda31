/* SPDX-License-Identifier: MIT */
#include "kernel_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 512 };

/* slabinfo(5); what is no cache, as the two lines of headings, has no numbers there. */
static void read_caches(struct kernel_memory *memory)
{
    FILE *file = fopen("/proc/slabinfo", "re");
    char line[LINE_SIZE];

    if (!file)
        return;
    while (memory->caches < KERNEL_CACHES_MAX && fgets(line, sizeof(line), file)) {
        struct kernel_cache *cache = &memory->cache[memory->caches];

        memory->caches += sscanf(line, "%39s %" SCNu64 " %*u %" SCNu64, cache->name,
                                 &cache->objects, &cache->size) == 3;
    }
    fclose(file);
    memory->known = memory->caches > 0;
}

/* In pages; of all network namespaces. */
static void read_sockets(struct kernel_memory *memory)
{
    FILE *file = fopen("/proc/net/sockstat", "re");
    char line[LINE_SIZE];

    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        const char *pages = strncmp(line, "TCP:", 4) == 0 ? strstr(line, " mem ") : NULL;

        if (pages && sscanf(pages, " mem %" SCNu64, &memory->sockets) == 1)
            memory->sockets *= (uint64_t)sysconf(_SC_PAGESIZE);
    }
    fclose(file);
}

void kernel_memory_read(struct kernel_memory *memory)
{
    memory->known = false;
    memory->caches = 0;
    memory->sockets = 0;
    read_caches(memory);
    read_sockets(memory);
}

static const struct kernel_cache *find(const struct kernel_memory *memory, const char *name)
{
    for (size_t i = 0; i < memory->caches; i++)
        if (strcmp(memory->cache[i].name, name) == 0)
            return &memory->cache[i];
    return NULL;
}

/* Inodes but those of sockets, and what hangs on blocks of a file system. */
static bool is_of_files(const char *name)
{
    const char *inode = strstr(name, "inode_cache");

    if (strcmp(name, "buffer_head") == 0)
        return true;
    return inode && strncmp(name, "sock_", 5) != 0 && strncmp(name, "lsm_", 4) != 0;
}

uint64_t kernel_memory_objects(const struct kernel_memory *before,
                               const struct kernel_memory *after, unsigned streams)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < after->caches; i++) {
        const struct kernel_cache *now = &after->cache[i], *then = find(before, now->name);
        uint64_t objects = then ? then->objects : 0;

        if (now->objects > objects && !is_of_files(now->name))
            bytes += (now->objects - objects + streams / 2) / streams * now->size;
    }
    return bytes;
}
