/* SPDX-License-Identifier: MIT */
#include "size.h"

#include "options.h"

enum { MIB = 1 << 20, FIRST_PARTS = 4 };

/* A few first parts, then twice as large ones, which cost a store less. Those for a 25th of the
 * number of parts, then each is such a share of what came before, up to what the largest object
 * needs: of 10000 parts 16 MiB until 6.2 GiB, and 700 MiB at most. */
uint64_t s3_size_of_part(uint64_t had, uint64_t first, unsigned max_parts)
{
    uint64_t share = max_parts / 25 ? max_parts / 25 : 1;
    uint64_t most = (S3_OBJECT_MOST / max_parts * 4 / 3 / MIB + 1) * MIB;
    uint64_t size = (had / share + MIB - 1) / MIB * MIB;

    if (had >= FIRST_PARTS * first && size < 2 * first)
        size = 2 * first;
    if (most > S3_PART_MOST)
        most = S3_PART_MOST;
    if (size > most)
        size = most;
    return size > first ? size : first;
}
