/* SPDX-License-Identifier: MIT */
/* What the kernel is asked for through a ring, and which request a completion answers.
 *
 * A request is queued, and submitted with the next that is, or when the queue is full. Nothing here
 * fails: what goes wrong is the completion. */
#ifndef LB_REQUESTS_H
#define LB_REQUESTS_H

#include "conn.h"
#include "uring.h"

struct lb_watch;

/* In the low bits of user_data, beside a pointer aligned to 16 or a listener's index. */
enum lb_request {
    LB_REQUEST_CONN,
    LB_REQUEST_WATCH,
    LB_REQUEST_ACCEPT,
    LB_REQUEST_WAKE,
    LB_REQUEST_CANCEL,
    LB_REQUEST_HALF_CLOSED,
    LB_REQUEST_MASK = 15,
};

static inline enum lb_request lb_request_kind(const struct io_uring_cqe *cqe)
{
    return (enum lb_request)(cqe->user_data & LB_REQUEST_MASK);
}

/* The conn or the watch that it is about. */
static inline void *lb_request_subject(const struct io_uring_cqe *cqe)
{
    return (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)LB_REQUEST_MASK);
}

static inline size_t lb_request_listener(const struct io_uring_cqe *cqe)
{
    return cqe->user_data / (LB_REQUEST_MASK + 1);
}

/* What the conn is receiving or awaiting; arms it. */
void lb_request_conn(struct io_uring *ring, struct lb_conn *conn, struct lb_uring_modes modes);

/* One connection from fd, or each that comes. */
void lb_request_accept(struct io_uring *ring, size_t listener, int fd, bool each);

/* One completion once the watch's descriptor is ready for its events. */
void lb_request_watch(struct io_uring *ring, struct lb_watch *watch);

/* One once the epoll set has something. */
void lb_request_half_closed(struct io_uring *ring, int epoll);

/* A completion each time that fd becomes readable. */
void lb_request_wake(struct io_uring *ring, int fd);

/* These end a request soon: with its own completion, beside that of the cancelling. */
void lb_request_cancel_conn(struct io_uring *ring, const struct lb_conn *conn);
void lb_request_cancel_accepts(struct io_uring *ring, size_t listener);
void lb_request_cancel_watch(struct io_uring *ring, const struct lb_watch *watch);

#endif
