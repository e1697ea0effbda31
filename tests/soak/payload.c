/* SPDX-License-Identifier: MIT */
#include "payload.h"

#include <string.h>

void soak_check_take(struct soak_check *check, const void *data, size_t size)
{
    uint8_t wanted[16384];
    const uint8_t *bytes = data;

    while (size > 0) {
        size_t part = size < sizeof(wanted) ? size : sizeof(wanted);

        if (check->bytes < PAYLOAD_TAG_SIZE) {
            uint64_t left = PAYLOAD_TAG_SIZE - check->bytes;

            part = part < left ? part : (size_t)left;
            memcpy((uint8_t *)&check->tag + check->bytes, bytes, part);
        } else {
            payload_fill(check->tag, check->bytes, wanted, part);
            check->wrong |= memcmp(bytes, wanted, part) != 0;
        }
        check->bytes += part;
        bytes += part;
        size -= part;
    }
}

bool soak_check_whole(const struct soak_check *check)
{
    uint64_t size = check->tag >> 32 & 0x7fffffff;

    if (check->bytes < PAYLOAD_TAG_SIZE)
        return true;
    return !check->wrong && (check->tag >> 63 ? check->bytes <= size : check->bytes == size);
}
