/* SPDX-License-Identifier: MIT */
/*
 * io_uring: liburing's calls, requests that fail, and completions.
 *
 * A request is made to fail by taking its descriptor away: the kernel refuses it, as it would for a
 * reason of its own, and its completion gets the error that was asked for. So nothing is received
 * behind the engine's back.
 */
#include "shim.h"

#include <errno.h>
#include <liburing.h>
#include <stdint.h>

#define WRAP(type, symbol, ...)                                                                    \
    type __real_##symbol(__VA_ARGS__);                                                             \
    type __wrap_##symbol(__VA_ARGS__);                                                             \
    type __wrap_##symbol(__VA_ARGS__)

enum { ACCEPTS_MAX = 8 };

/* The ring whose requests this thread submits, and how far its completions have been looked at. */
static _Thread_local struct io_uring *current;
static _Thread_local unsigned seen;
static _Thread_local struct {
    uint64_t user_data;
    int error; /* 0: none */
} doomed;
static _Thread_local uint64_t accepts[ACCEPTS_MAX]; /* user_data of accepts */
static _Thread_local unsigned accept_count;

static enum shim_call call_of(const struct io_uring_sqe *sqe)
{
    switch (sqe->opcode) {
    case IORING_OP_RECV:
        return SHIM_recv_request;
    case IORING_OP_ACCEPT:
        return SHIM_accept_request;
    case IORING_OP_POLL_ADD:
        return SHIM_poll_request;
    default:
        return SHIM_COUNT;
    }
}

static bool is_accept(uint64_t user_data)
{
    for (unsigned i = 0; i < accept_count; i++)
        if (accepts[i] == user_data)
            return true;
    return false;
}

static void look_at_request(struct io_uring_sqe *sqe)
{
    enum shim_call call = call_of(sqe);
    int error = call < SHIM_COUNT ? shim_error(call) : 0;

    if (call == SHIM_accept_request && !is_accept(sqe->user_data) && accept_count < ACCEPTS_MAX)
        accepts[accept_count++] = sqe->user_data;
    if (!error)
        return;
    doomed.user_data = sqe->user_data;
    doomed.error = error;
    sqe->fd = -1;
}

static void look_at_requests(struct io_uring *ring)
{
    unsigned mask = *ring->sq.kring_mask;

    if (current != ring)
        seen = *ring->cq.khead;
    current = ring;
    for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++)
        look_at_request(&ring->sq.sqes[i & mask]);
}

static void look_at_completion(struct io_uring_cqe *cqe)
{
    int error;

    if (doomed.error && cqe->user_data == doomed.user_data && cqe->res == -EBADF) {
        cqe->res = -doomed.error;
        doomed.error = 0;
    } else if (is_accept(cqe->user_data)) {
        shim_opened(cqe->res);
    } else if (cqe->res == 0 && cqe->user_data > UINT32_MAX) {
        /* Only a receive ends with 0 and has a pointer for user_data. */
        error = shim_error(SHIM_eof_completion);
        cqe->res = -error;
    }
}

static void look_at_completions(void)
{
    unsigned tail, mask;

    if (!current)
        return;
    tail = io_uring_smp_load_acquire(current->cq.ktail);
    mask = *current->cq.kring_mask;
    for (; seen != tail; seen++)
        look_at_completion(&current->cq.cqes[seen & mask]);
}

WRAP(int, io_uring_queue_init_params, unsigned entries, struct io_uring *ring,
     struct io_uring_params *params)
{
    int error = shim_error(SHIM_uring_setup);

    return error ? -error : __real_io_uring_queue_init_params(entries, ring, params);
}

WRAP(void, io_uring_queue_exit, struct io_uring *ring)
{
    if (current == ring)
        current = NULL;
    __real_io_uring_queue_exit(ring);
}

WRAP(int, io_uring_register, unsigned fd, unsigned operation, const void *argument, unsigned count)
{
    int error = shim_error(SHIM_uring_register);

    return error ? -error : __real_io_uring_register(fd, operation, argument, count);
}

WRAP(int, io_uring_register_buf_ring, struct io_uring *ring, struct io_uring_buf_reg *registration,
     unsigned flags)
{
    int error = shim_error(SHIM_uring_register_buffers);

    return error ? -error : __real_io_uring_register_buf_ring(ring, registration, flags);
}

WRAP(int, io_uring_register_ring_fd, struct io_uring *ring)
{
    int error = shim_error(SHIM_uring_register_descriptor);

    return error ? -error : __real_io_uring_register_ring_fd(ring);
}

WRAP(int, io_uring_submit, struct io_uring *ring)
{
    int error = shim_error(SHIM_uring_submit), rc;

    if (error)
        return -error;
    look_at_requests(ring);
    rc = __real_io_uring_submit(ring);
    look_at_completions();
    return rc;
}

WRAP(int, io_uring_submit_and_wait_timeout, struct io_uring *ring, struct io_uring_cqe **cqe,
     unsigned count, struct __kernel_timespec *limit, sigset_t *mask)
{
    int error = shim_error(SHIM_uring_wait), rc;

    if (error)
        return -error;
    look_at_requests(ring);
    rc = __real_io_uring_submit_and_wait_timeout(ring, cqe, count, limit, mask);
    look_at_completions();
    return rc;
}

WRAP(int, io_uring_enter2, unsigned fd, unsigned submit, unsigned count, unsigned flags,
     sigset_t *mask, size_t size)
{
    int error = shim_error(SHIM_uring_gather), rc;

    if (error)
        return -error;
    rc = __real_io_uring_enter2(fd, submit, count, flags, mask, size);
    look_at_completions();
    return rc;
}
