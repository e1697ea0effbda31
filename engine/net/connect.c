/* SPDX-License-Identifier: MIT */
#include "address.h"
#include "clock.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Waits until fd's connect is decided. deadline_ns 0: none. */
static int await_connect(int fd, uint64_t deadline_ns)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof(int);
    int failure = 0;

    for (;;) {
        int timeout_ms = -1;
        int rc;

        if (deadline_ns) {
            uint64_t now = lb_clock_ns();

            if (now >= deadline_ns)
                return -ETIMEDOUT;
            timeout_ms = (int)((deadline_ns - now) / LB_NS_PER_MS) + 1;
        }
        rc = poll(&poller, 1, timeout_ms);
        if (rc < 0 && errno != EINTR)
            return -errno;
        if (rc > 0)
            break;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
        return -errno;
    return -failure;
}

/* A non-blocking connect, so that the deadline holds; the descriptor is blocking afterwards. */
static int connect_inet(const struct sockaddr *address, socklen_t size, uint64_t deadline_ns)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, address, size) < 0)
        rc = errno == EINPROGRESS ? await_connect(fd, deadline_ns) : -errno;
    if (rc == 0 && fcntl(fd, F_SETFL, 0) < 0)
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* A Unix socket connects at once, or waits for room in the backlog; non-blocking it would fail
 * with EAGAIN and nothing to poll for (unix(7)), so the send timeout bounds it. */
static int connect_unix(const struct lb_address *address, int timeout_ms)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {0};
    int rc = 0;

    if (fd < 0)
        return -errno;
    if (timeout_ms >= 0) {
        limit.tv_sec = timeout_ms / 1000;
        limit.tv_usec = timeout_ms % 1000 * 1000 + 1;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    }
    while (connect(fd, (const struct sockaddr *)&address->un, address->un_size) < 0) {
        rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (rc != -EINTR)
            break;
        rc = 0;
    }
    if (rc == 0) {
        limit = (struct timeval){0};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        return fd;
    }
    close(fd);
    return rc;
}

static int connect_tcp(const struct lb_address *address, uint64_t deadline_ns,
                       struct lb_error *error)
{
    struct addrinfo *list;
    int rc = lb_address_resolve(address, false, &list, error);

    if (rc < 0)
        return rc;
    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        rc = connect_inet(info->ai_addr, info->ai_addrlen, deadline_ns);
        if (rc >= 0)
            break;
    }
    freeaddrinfo(list);
    return rc;
}

int lb_connect(const char *text, int timeout_ms, struct lb_error *error)
{
    uint64_t deadline_ns = timeout_ms < 0 ? 0 : lb_clock_ns() + (uint64_t)timeout_ms * LB_NS_PER_MS;
    struct lb_error why = {LB_ERROR_INIT};
    struct lb_address address;
    int rc = lb_address_parse(&address, text, &why);

    if (rc == 0 && address.kind == LB_ADDRESS_FD)
        return lb_error_set(error, -EINVAL,
                            "%s: not an address to connect to; write HOST:PORT, "
                            "unix:PATH or unix:@NAME",
                            text);
    if (rc == 0 && address.kind == LB_ADDRESS_UNIX)
        rc = connect_unix(&address, timeout_ms);
    else if (rc == 0)
        rc = connect_tcp(&address, deadline_ns, &why);
    if (rc >= 0)
        return rc;
    if (why.text[0])
        return lb_error_set(error, rc, "%s", why.text);
    return lb_error_set(error, rc, "cannot connect to %s: %s", text, strerror(-rc));
}
