/* SPDX-License-Identifier: MIT */
/* What liburing 2.3 (Debian 12) lacks. Values are the kernel's ABI (include/uapi/linux/io_uring.h);
 * the version is the kernel's that first has it. */
#ifndef LB_URING_COMPAT_H
#define LB_URING_COMPAT_H

#include <liburing.h>
#include <stdint.h>

#ifndef IORING_FEAT_RECVSEND_BUNDLE /* 6.10 */
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14)
#endif

#ifndef IORING_RECVSEND_BUNDLE /* 6.10 */
#define IORING_RECVSEND_BUNDLE (1U << 4)
#endif

/* 6.12: incremental buffers; the field was padding before it had a name. */
#define LB_PBUF_RING_INC 2
#ifdef LB_HAVE_BUF_REG_FLAGS
#define LB_BUF_REG_FLAGS flags
#else
#define LB_BUF_REG_FLAGS pad
#endif

/* liburing 2.3 declares io_uring_enable_rings, but its shared library doesn't export it. */
static inline int lb_uring_enable(struct io_uring *ring)
{
    return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

#endif
