/* SPDX-License-Identifier: MIT */
#include "payload.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

/* A word is its index times an odd constant, which can be undone modulo 2^64. */
#define SCATTER 0x9e3779b97f4a7c15u
#define GATHER 0xf1de83e19937733du

enum { STREAM_STRIDE = 977 }; /* words between the phases of neighbours */

static uint8_t *payload;
static int payload_file = -1;

static size_t payload_size(void)
{
    return PAYLOAD_PERIOD + PAYLOAD_WRITE_MAX;
}

static int save(void)
{
    payload_file = memfd_create("payload", MFD_CLOEXEC);
    if (payload_file < 0)
        return -errno;
    return write(payload_file, payload, payload_size()) == (ssize_t)payload_size() ? 0 : -EIO;
}

int payload_open(void)
{
    static_assert(SCATTER * GATHER == 1, "the one undoes the other");
    size_t words = (payload_size() + 7) / 8;

    if (payload)
        return 0;
    payload = malloc(words * 8);
    if (!payload)
        return -ENOMEM;
    for (size_t i = 0; i < words; i++) {
        uint64_t word = i % PAYLOAD_WORDS * SCATTER;

        memcpy(payload + 8 * i, &word, sizeof(word));
    }
    return save();
}

uint64_t payload_phase(uint64_t stream)
{
    return stream * STREAM_STRIDE % PAYLOAD_WORDS * 8;
}

uint64_t payload_offset(uint64_t position)
{
    return position % PAYLOAD_PERIOD;
}

const uint8_t *payload_at(uint64_t position)
{
    return payload + payload_offset(position);
}

int payload_fd(void)
{
    return payload_file;
}

/* Takes what of data belongs to the first word; returns how many bytes. */
static size_t check_first(struct payload_check *check, const uint8_t *data, size_t size)
{
    size_t taken = sizeof(check->first) - check->seen;
    uint64_t word;

    if (taken > size)
        taken = size;
    memcpy(check->first + check->seen, data, taken);
    check->seen += (unsigned)taken;
    if (check->seen == sizeof(check->first)) {
        memcpy(&word, check->first, sizeof(word));
        word *= GATHER;
        check->wrong = word >= PAYLOAD_WORDS;
        check->position = word % PAYLOAD_WORDS * 8 + sizeof(word);
    }
    return taken;
}

void payload_check(struct payload_check *check, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    if (check->seen < sizeof(check->first) && size > 0) {
        size_t taken = check_first(check, bytes, size);

        bytes += taken;
        size -= taken;
    }
    while (size > 0 && !check->wrong) {
        size_t part = size < PAYLOAD_WRITE_MAX ? size : PAYLOAD_WRITE_MAX;

        check->wrong = memcmp(bytes, payload_at(check->position), part) != 0;
        check->position += part;
        bytes += part;
        size -= part;
    }
}

void payload_digest(uint64_t stream, uint64_t size, char digest[PAYLOAD_DIGEST_SIZE])
{
    XXH3_state_t *running = XXH3_createState();
    uint64_t position = payload_phase(stream);
    XXH128_canonical_t canonical;

    assert(running);
    XXH3_128bits_reset(running);
    while (size > 0) {
        size_t part = size < PAYLOAD_WRITE_MAX ? size : PAYLOAD_WRITE_MAX;

        XXH3_128bits_update(running, payload_at(position), part);
        position += part;
        size -= part;
    }
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(running));
    XXH3_freeState(running);
    for (size_t i = 0; i < sizeof(canonical.digest); i++)
        snprintf(digest + 2 * i, 3, "%02x", canonical.digest[i]);
}
