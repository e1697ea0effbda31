/* SPDX-License-Identifier: MIT */
#include "requests.h"

#include "bufring.h"
#include "watches.h"

#include <poll.h>
#include <sys/socket.h>

static uint64_t about(enum lb_request kind, const void *subject)
{
    return (uintptr_t)subject | kind;
}

static uint64_t about_listener(size_t listener)
{
    return listener * (LB_REQUEST_MASK + 1) | LB_REQUEST_ACCEPT;
}

static struct io_uring_sqe *get_sqe(struct io_uring *ring, uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    while (!sqe) {
        /* The queue is full: it is emptied by submitting, always (SUBMIT_ALL). */
        io_uring_submit(ring);
        sqe = io_uring_get_sqe(ring);
    }
    sqe->user_data = user_data;
    return sqe;
}

void lb_request_conn(struct io_uring *ring, struct lb_conn *conn, struct lb_uring_modes modes)
{
    struct io_uring_sqe *sqe = get_sqe(ring, about(LB_REQUEST_CONN, conn));

    if (lb_conn_part(conn)->awaiting) {
        io_uring_prep_poll_add(sqe, conn->fd, POLLIN);
    } else if (lb_conn_part(conn)->once) {
        io_uring_prep_recv(sqe, conn->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = LB_BUFRING_GROUP;
    } else {
        lb_uring_prep_receive(sqe, conn->fd, modes);
        /* The multishot of a Unix socket whose last bytes and EOF come together may never tell of
         * the EOF: the kernel folds both wake-ups into one receive, and a socket with nothing but
         * its EOF left doesn't ask for another. (TCP's does: tcp_inq_hint. CVE-2026-23473 mended
         * that for hang-ups; seen on 6.18.44 in one stream of three million.) */
        if (conn->is_unix)
            sqe->ioprio &= (uint16_t)~IORING_RECV_MULTISHOT;
    }
    lb_conn_part(conn)->armed = true;
}

void lb_request_accept(struct io_uring *ring, size_t listener, int fd, bool each)
{
    struct io_uring_sqe *sqe = get_sqe(ring, about_listener(listener));

    if (each)
        io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
}

void lb_request_watch(struct io_uring *ring, struct lb_watch *watch)
{
    struct io_uring_sqe *sqe = get_sqe(ring, about(LB_REQUEST_WATCH, watch));

    io_uring_prep_poll_add(sqe, watch->fd, watch->events);
}

void lb_request_half_closed(struct io_uring *ring, int epoll)
{
    struct io_uring_sqe *sqe = get_sqe(ring, LB_REQUEST_HALF_CLOSED);

    io_uring_prep_poll_add(sqe, epoll, POLLIN);
}

void lb_request_wake(struct io_uring *ring, int fd)
{
    struct io_uring_sqe *sqe = get_sqe(ring, LB_REQUEST_WAKE);

    io_uring_prep_poll_multishot(sqe, fd, POLLIN);
}

static void cancel(struct io_uring *ring, uint64_t user_data)
{
    struct io_uring_sqe *sqe = get_sqe(ring, LB_REQUEST_CANCEL);

    io_uring_prep_cancel64(sqe, user_data, 0);
}

void lb_request_cancel_conn(struct io_uring *ring, const struct lb_conn *conn)
{
    cancel(ring, about(LB_REQUEST_CONN, conn));
}

void lb_request_cancel_accepts(struct io_uring *ring, size_t listener)
{
    struct io_uring_sqe *sqe = get_sqe(ring, LB_REQUEST_CANCEL);

    io_uring_prep_cancel64(sqe, about_listener(listener), IORING_ASYNC_CANCEL_ALL);
}

void lb_request_cancel_watch(struct io_uring *ring, const struct lb_watch *watch)
{
    cancel(ring, about(LB_REQUEST_WATCH, watch));
}
