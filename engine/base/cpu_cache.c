/* SPDX-License-Identifier: MIT */
#include "cpu_cache.h"

#include <unistd.h>

#define LEAST ((size_t)256 << 10)
#define MOST ((size_t)2 << 20)
#define USUAL ((size_t)1 << 20) /* where nobody tells: many virtual machines, most of Arm */

size_t lb_cpu_cache_size(void)
{
    long told = sysconf(_SC_LEVEL2_CACHE_SIZE);
    size_t size = LEAST;

    if (told <= 0)
        return USUAL;
    while (size * 2 <= (size_t)told && size < MOST)
        size *= 2;
    return size;
}
