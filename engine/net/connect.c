/* SPDX-License-Identifier: MIT */
#include "address.h"
#include "clock.h"
#include "error.h"
#include "race.h"
#include "resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FLAGS = LB_CONNECT_IPV4 | LB_CONNECT_IPV6 | LB_CONNECT_RESET };

/* The rest of the time, for SO_SNDTIMEO: all zeros would mean no limit. */
static struct timeval time_left(uint64_t deadline_ns)
{
    uint64_t now = lb_clock_ns();
    uint64_t left_us = now < deadline_ns ? (deadline_ns - now) / 1000 : 0;

    return (struct timeval){.tv_sec = (time_t)(left_us / 1000000),
                            .tv_usec = (suseconds_t)(left_us % 1000000 + 1)};
}

static int connect_in_time(int fd, const struct lb_address *address, uint64_t deadline_ns)
{
    for (;;) {
        if (deadline_ns) {
            struct timeval limit = time_left(deadline_ns);

            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        }
        if (connect(fd, (const struct sockaddr *)&address->un, address->un_size) == 0)
            return 0;
        if (errno != EINTR)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
    }
}

/* A Unix socket connects at once, or waits for room in the backlog; non-blocking it would fail
 * with EAGAIN and nothing to poll for (unix(7)), so the send timeout bounds it. */
static int connect_unix(const struct lb_address *address, uint64_t deadline_ns)
{
    static const struct timeval none = {0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int rc = connect_in_time(fd, address, deadline_ns);
    if (rc == 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
        return fd;
    }
    close(fd);
    return rc;
}

/* To the kernel a file that is no socket is one that nobody listens at. */
static bool is_other_file(const struct lb_address *address)
{
    struct stat status;

    return address->un.sun_path[0] && stat(address->un.sun_path, &status) == 0 &&
           !S_ISSOCK(status.st_mode);
}

static int connect_tcp(const struct lb_address *address, unsigned flags, uint64_t deadline_ns,
                       struct lb_error *error)
{
    static const struct linger none = {0};
    unsigned families = flags & (LB_CONNECT_IPV4 | LB_CONNECT_IPV6);
    struct addrinfo *list;
    int rc = lb_resolve(address,
                        families == LB_CONNECT_IPV4   ? AF_INET
                        : families == LB_CONNECT_IPV6 ? AF_INET6
                                                      : AF_UNSPEC,
                        deadline_ns, &list, error);

    if (rc < 0)
        return rc;
    int fd = lb_race(list, deadline_ns);
    freeaddrinfo(list);
    if (fd < 0)
        return fd;
    if (!(flags & LB_CONNECT_RESET))
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    if (fcntl(fd, F_SETFL, 0) < 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

int lb_connect_with(const char *text, unsigned flags, int timeout_ms, struct lb_error *error)
{
    uint64_t deadline_ns = timeout_ms < 0 ? 0 : lb_clock_ns() + (uint64_t)timeout_ms * LB_NS_PER_MS;
    struct lb_error why = {LB_ERROR_INIT};
    struct lb_address address;
    int rc = lb_address_parse(&address, text, &why);

    if (flags & ~(unsigned)FLAGS)
        return lb_error_set(error, -EINVAL, "unknown flags %#x of lb_connect_with",
                            flags & ~(unsigned)FLAGS);
    if (rc == 0 && address.kind == LB_ADDRESS_FD)
        return lb_error_set(error, -EINVAL,
                            "%s: not an address to connect to; write HOST:PORT, "
                            "unix:PATH or unix:@NAME",
                            text);
    if (rc == 0 && address.kind == LB_ADDRESS_UNIX) {
        rc = connect_unix(&address, deadline_ns);
        if (rc == -ECONNREFUSED && is_other_file(&address))
            return lb_error_set(error, -ENOTSOCK, "%s: there is a file, but it is no socket", text);
    } else if (rc == 0) {
        rc = connect_tcp(&address, flags, deadline_ns, &why);
    }
    if (rc >= 0)
        return rc;
    if (why.text[0])
        return lb_error_set(error, rc, "%s", why.text);
    return lb_error_set(error, rc, "cannot connect to %s: %s", text, strerror(-rc));
}

int lb_connect(const char *text, int timeout_ms, struct lb_error *error)
{
    return lb_connect_with(text, 0, timeout_ms, error);
}
