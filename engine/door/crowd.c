/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

int lb_crowd_init(struct lb_crowd *crowd, unsigned limit, unsigned capacity)
{
    uint32_t buckets = 1;

    *crowd = (struct lb_crowd){.limit = limit, .capacity = capacity};
    pthread_mutex_init(&crowd->lock, NULL);
    if (limit == 0)
        return 0;
    while (buckets < capacity)
        buckets *= 2;
    crowd->mask = buckets - 1;
    /* Large and zeroed: pages that are never needed cost nothing. */
    crowd->entries = calloc(capacity, sizeof(*crowd->entries));
    crowd->buckets = calloc(buckets, sizeof(*crowd->buckets));
    if (getrandom(&crowd->seed, sizeof(crowd->seed), GRND_NONBLOCK) < 0)
        crowd->seed = (uintptr_t)crowd->entries;
    return crowd->entries && crowd->buckets ? 0 : -ENOMEM;
}

void lb_crowd_done(struct lb_crowd *crowd)
{
    free(crowd->entries);
    free(crowd->buckets);
    pthread_mutex_destroy(&crowd->lock);
}

/* Whoever has one address of IPv6 has all of its /64: the rest is his to choose. */
static void make_key(uint8_t key[20], const union lb_peer *peer)
{
    sa_family_t family;

    memset(key, 0, 20);
    family = lb_peer_address(peer, key + 4);
    if (family == AF_INET6)
        memset(key + 4 + 8, 0, 8);
    if (family == AF_UNSPEC && peer->family == AF_UNIX) {
        family = AF_UNIX;
        memcpy(key + 4, &peer->un.uid, sizeof(peer->un.uid));
    }
    memcpy(key, &family, sizeof(family));
}

/* Where the index of key's entry is or would be: in its bucket or in its predecessor. */
static uint32_t *find(struct lb_crowd *crowd, const uint8_t key[20])
{
    uint32_t *link = &crowd->buckets[XXH3_64bits_withSeed(key, 20, crowd->seed) & crowd->mask];

    while (*link && memcmp(crowd->entries[*link - 1].key, key, 20) != 0)
        link = &crowd->entries[*link - 1].next;
    return link;
}

static uint32_t take_free(struct lb_crowd *crowd)
{
    uint32_t index = crowd->free;

    if (index)
        crowd->free = crowd->entries[index - 1].next;
    else if (crowd->touched < crowd->capacity)
        index = ++crowd->touched;
    return index;
}

static bool join(struct lb_crowd *crowd, const uint8_t key[20])
{
    uint32_t *link = find(crowd, key);
    struct lb_crowd_entry *entry;

    if (*link == 0) {
        *link = take_free(crowd);
        if (*link == 0)
            return false;
        entry = &crowd->entries[*link - 1];
        *entry = (struct lb_crowd_entry){0};
        memcpy(entry->key, key, sizeof(entry->key));
    }
    entry = &crowd->entries[*link - 1];
    if (entry->streams == crowd->limit)
        return false;
    entry->streams++;
    return true;
}

bool lb_crowd_join(struct lb_crowd *crowd, const union lb_peer *peer)
{
    uint8_t key[20];
    bool joined;

    if (crowd->limit == 0)
        return true;
    make_key(key, peer);
    pthread_mutex_lock(&crowd->lock);
    joined = join(crowd, key);
    pthread_mutex_unlock(&crowd->lock);
    return joined;
}

static void leave(struct lb_crowd *crowd, const uint8_t key[20])
{
    uint32_t *link = find(crowd, key), index = *link;
    struct lb_crowd_entry *entry;

    assert(index > 0);
    entry = &crowd->entries[index - 1];
    assert(entry->streams > 0);
    if (--entry->streams > 0)
        return;
    *link = entry->next;
    entry->next = crowd->free;
    crowd->free = index;
}

void lb_crowd_leave(struct lb_crowd *crowd, const union lb_peer *peer)
{
    uint8_t key[20];

    if (crowd->limit == 0)
        return;
    make_key(key, peer);
    pthread_mutex_lock(&crowd->lock);
    leave(crowd, key);
    pthread_mutex_unlock(&crowd->lock);
}
