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

#ifndef IORING_FEAT_MIN_TIMEOUT /* 6.12 */
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)
#endif

/* 6.12: incremental buffers; the field was padding before it had a name. */
#define LB_PBUF_RING_INC 2
#ifdef LB_HAVE_BUF_REG_FLAGS
#define LB_BUF_REG_FLAGS flags
#else
#define LB_BUF_REG_FLAGS pad
#endif

/* 6.12: the argument's padding became the time for which completions may gather before one is
 * enough to return (io_uring_enter(2), IORING_ENTER_EXT_ARG). */
struct lb_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_size;
    uint32_t min_wait_us;
    uint64_t timespec;
};

/* liburing 2.3 declares io_uring_enable_rings, but its shared library doesn't export it. */
static inline int lb_uring_enable(struct io_uring *ring)
{
    return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

#endif
