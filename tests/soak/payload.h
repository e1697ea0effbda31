/* SPDX-License-Identifier: MIT */
/* The soak's payloads: the tag says how long the stream is, so that whoever receives it can tell a
 * whole one from one that was cut, without asking the sender. */
#ifndef SOAK_PAYLOAD_H
#define SOAK_PAYLOAD_H

#include "support.h"

/* cut: the sender will not send all of it. */
static inline uint64_t soak_tag(uint64_t random, uint32_t size, bool cut)
{
    return (uint64_t)cut << 63 | (uint64_t)(size & 0x7fffffff) << 32 | (uint32_t)random;
}

/* A stream as it comes. Zeroed: nothing has come. */
struct soak_check {
    uint64_t tag;
    uint64_t bytes;
    bool wrong; /* a byte is not what was sent */
};

void soak_check_take(struct soak_check *check, const void *data, size_t size);

/* Is it what its sender meant to send, as far as that can be told? */
bool soak_check_whole(const struct soak_check *check);

#endif
