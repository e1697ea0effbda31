/* SPDX-License-Identifier: MIT */
#include "restrictions.h"

/* A new operation in requests.c needs a line here; without it every stream fails with EACCES. */
static const struct io_uring_restriction allowed[] = {
    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ACCEPT},
    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL},
    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECV},
    {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_BUFFER_SELECT},
    /* The thread that enables the ring registers its descriptor, and unregisters it at the end. */
    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_RING_FDS},
    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_RING_FDS},
};

int lb_uring_restrict(struct io_uring *ring)
{
    /* Not by liburing's name for it: the shared library of 2.3 doesn't export that one either. */
    return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
                             sizeof(allowed) / sizeof(allowed[0]));
}
