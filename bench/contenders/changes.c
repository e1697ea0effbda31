/* SPDX-License-Identifier: MIT */
#include "changes.h"

#include "receiver.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    POLL_US = 200,    /* longer than it takes to the next message at 10,000 a second */
    POLL_PACKETS = 8, /* in one go: the kernel's own default (BUSY_POLL_BUDGET) */
    SQ_IDLE_MS = 1,   /* the thread has the receiver's core, and spins so long for more */
};

/* What liburing 2.3 and the headers of its time lack: include/uapi/linux/io_uring.h. */
enum { REGISTER_NAPI = 27, ENTER_NO_IOWAIT = 1 << 7, FEAT_NO_IOWAIT = 1 << 17 };

struct napi {
    uint32_t busy_poll_us;
    uint8_t prefer_busy_poll, opcode, pad[2];
    uint32_t op_param, reserved;
};

/* include/uapi/linux/eventpoll.h */
struct poll_params {
    uint32_t busy_poll_us;
    uint16_t busy_poll_budget;
    uint8_t prefer_busy_poll, pad;
};
#define SET_POLL_PARAMS _IOW(0x8a, 0x01, struct poll_params)

/* ---- io_uring -------------------------------------------------------------------------------- */

/* DEFER_TASKRUN is for rings whose owner submits. */
void change_parameters(struct io_uring_params *parameters, enum change change, int core)
{
    if (change != CHANGE_SQPOLL)
        return;
    parameters->flags &= ~(unsigned)(IORING_SETUP_DEFER_TASKRUN);
    parameters->flags |= IORING_SETUP_SQPOLL;
    parameters->sq_thread_idle = SQ_IDLE_MS;
    if (core >= 0) {
        parameters->flags |= IORING_SETUP_SQ_AFF;
        parameters->sq_thread_cpu = (unsigned)core;
    }
}

int change_ring(struct io_uring *ring, enum change change)
{
    struct napi napi = {.busy_poll_us = POLL_US};

    if (change == CHANGE_NO_IOWAIT)
        return ring->features & FEAT_NO_IOWAIT ? 0 : -EOPNOTSUPP;
    if (change != CHANGE_NAPI)
        return 0;
    return syscall(__NR_io_uring_register, ring->ring_fd, REGISTER_NAPI, &napi, 1) < 0 ? -errno : 0;
}

/* liburing has no way to set the flag. Where there is something to submit, that is a call of its
 * own; multishot requests rarely need one. */
int change_wait(struct io_uring *ring, enum change change, bool registered)
{
    unsigned flags = IORING_ENTER_GETEVENTS | ENTER_NO_IOWAIT;
    int rc = 0;

    if (change != CHANGE_NO_IOWAIT)
        return io_uring_submit_and_wait(ring, 1);
    if (io_uring_sq_ready(ring) > 0)
        rc = io_uring_submit(ring);
    if (rc < 0)
        return rc;
    if (registered)
        flags |= IORING_ENTER_REGISTERED_RING;
    return syscall(__NR_io_uring_enter, ring->enter_ring_fd, 0, 1, flags, NULL, 0) < 0 ? -errno : 0;
}

/* ---- sockets and epoll ----------------------------------------------------------------------- */

int change_epoll(int epoll, enum change change)
{
    struct poll_params params = {.busy_poll_us = POLL_US, .busy_poll_budget = POLL_PACKETS};

    return change == CHANGE_EPOLL_PARAMS ? ioctl(epoll, SET_POLL_PARAMS, &params) : 0;
}

int change_socket(int listener, enum change change)
{
    int us = POLL_US;

    if (change != CHANGE_BUSY_POLL)
        return 0;
    return setsockopt(listener, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us));
}

/* ---- what is missing ------------------------------------------------------------------------- */

static int try_ring(enum change change)
{
    struct io_uring_params parameters = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                                  IORING_SETUP_DEFER_TASKRUN};
    struct io_uring ring;
    int rc;

    change_parameters(&parameters, change, -1);
    rc = io_uring_queue_init_params(4, &ring, &parameters);
    if (rc < 0)
        return rc;
    rc = change_ring(&ring, change);
    io_uring_queue_exit(&ring);
    return rc;
}

static int try_epoll(enum change change)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int rc = epoll < 0 || change_epoll(epoll, change) < 0 ? -errno : 0;

    if (epoll >= 0)
        close(epoll);
    return rc;
}

static int try_socket(const struct contender *contender)
{
    bool mptcp = contender->change == CHANGE_MPTCP;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, mptcp ? IPPROTO_MPTCP : IPPROTO_TCP);
    int rc = fd < 0 || change_socket(fd, contender->change) < 0 ||
                     (contender->rcvbuf && receiver_set_rcvbuf(fd, contender->rcvbuf) < 0)
                 ? -errno
                 : 0;

    if (fd >= 0)
        close(fd);
    return rc;
}

static bool is_of_rings(enum change change)
{
    return change == CHANGE_SQPOLL || change == CHANGE_NO_IOWAIT || change == CHANGE_NAPI;
}

const char *change_missing(const struct contender *contender, char *buffer, size_t size)
{
    bool uring = contender->receive == best_uring_receive;
    const char *why = uring ? plain_uring_missing(contender, buffer, size) : NULL;
    int rc;

    if (why)
        return why;
    if (is_of_rings(contender->change))
        rc = try_ring(contender->change);
    else if (contender->change == CHANGE_EPOLL_PARAMS)
        rc = try_epoll(contender->change);
    else
        rc = try_socket(contender);
    if (rc == 0)
        return NULL;
    snprintf(buffer, size, "the kernel refuses it: %s", strerror(-rc));
    return buffer;
}
