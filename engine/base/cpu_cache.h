/* SPDX-License-Identifier: MIT */
#ifndef LB_CPU_CACHE_H
#define LB_CPU_CACHE_H

#include <stddef.h>

/* Bytes of a core's own cache (L2), within what is sane for a worker's working set: a power of two
 * from 256 KiB to 2 MiB. */
size_t lb_cpu_cache_size(void);

#endif
