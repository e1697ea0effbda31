/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "address.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* A connection that has been reset has no peer any more either, but its way in is closed. */
static bool was_connected(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLRDHUP};
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);

    if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 || errno != ENOTCONN)
        return true;
    return poll(&poller, 1, 0) == 1 && poller.revents & POLLRDHUP;
}

int lb_peer_check(int fd)
{
    socklen_t size = sizeof(int);
    int type = 0, domain = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
        return -errno;
    if (type != SOCK_STREAM)
        return -EPROTOTYPE;
    if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6)
        return -EAFNOSUPPORT;
    return was_connected(fd) ? 0 : -ENOTCONN;
}

void lb_peer_get(union lb_peer *peer, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    memset(peer, 0, sizeof(*peer));
    /* ENOTCONN: the peer has reset already. Its bytes may still be there, its name is not. */
    if (getpeername(fd, (struct sockaddr *)&address, &size) < 0)
        return;
    if (address.ss_family == AF_UNIX) {
        struct ucred credentials = {.pid = -1, .uid = (uid_t)-1};
        socklen_t length = sizeof(credentials);

        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
        peer->un.family = AF_UNIX;
        peer->un.pid = credentials.pid;
        peer->un.uid = (int)credentials.uid;
    } else if (size <= sizeof(*peer)) {
        memcpy(peer, &address, size);
    }
}

/* Of a Unix socket's buffer each write takes the memory of a packet (unix(7), SO_SNDBUF): it is
 * full with fewer bytes only if they came by writes of less than eight. */
enum { UNIX_KEPT = 2048 };

/* The kernel may take less than half of a TCP socket's buffer for the bytes themselves (tcp(7)). */
static size_t surely_kept(const union lb_peer *peer, int fd)
{
    int buffer = 0;
    socklen_t size = sizeof(buffer);

    if (peer->family == AF_UNIX)
        return UNIX_KEPT;
    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, &size);
    return (size_t)buffer / 4;
}

bool lb_peer_is_ahead(const union lb_peer *peer, int fd, size_t piece, uint64_t *waiting)
{
    struct pollfd poller = {.fd = fd, .events = POLLRDHUP};
    size_t kept = surely_kept(peer, fd);
    int bytes = 0;

    if (ioctl(fd, FIONREAD, &bytes) < 0)
        bytes = 0;
    *waiting = (uint64_t)bytes;
    return *waiting >= (kept < piece ? kept : piece) || poll(&poller, 1, 0) > 0;
}

bool lb_peer_has_left(int fd)
{
    struct pollfd poller = {.fd = fd};

    return poll(&poller, 1, 0) > 0 && poller.revents & POLLHUP;
}

const char *lb_peer_name(const union lb_peer *peer, char name[LB_PEER_SIZE])
{
    switch (peer->family) {
    case AF_INET:
    case AF_INET6:
        lb_sockaddr_name((const struct sockaddr *)peer, name, LB_PEER_SIZE);
        break;
    case AF_UNIX:
        snprintf(name, LB_PEER_SIZE, "unix:pid=%d,uid=%d", peer->un.pid, peer->un.uid);
        break;
    default:
        snprintf(name, LB_PEER_SIZE, "unknown");
    }
    return name;
}

int lb_peer_sockaddr(const union lb_peer *peer, struct sockaddr_storage *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = peer->in.sin_port};
    uint8_t bytes[16];

    memset(address, 0, sizeof(*address));
    address->ss_family = peer->family;
    if (peer->family == AF_UNIX)
        return sizeof(sa_family_t);
    switch (lb_peer_address(peer, bytes)) {
    case AF_INET:
        memcpy(&in.sin_addr, bytes, sizeof(in.sin_addr));
        memcpy(address, &in, sizeof(in));
        return sizeof(in);
    case AF_INET6:
        memcpy(address, &peer->in6, sizeof(peer->in6));
        return sizeof(peer->in6);
    default:
        return -ENOTCONN;
    }
}

sa_family_t lb_peer_address(const union lb_peer *peer, uint8_t address[16])
{
    const uint8_t *in6 = peer->in6.sin6_addr.s6_addr;

    memset(address, 0, 16);
    if (peer->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer->in6.sin6_addr)) {
        memcpy(address, in6 + 12, 4);
        return AF_INET;
    }
    if (peer->family == AF_INET6)
        memcpy(address, in6, 16);
    else if (peer->family == AF_INET)
        memcpy(address, &peer->in.sin_addr, 4);
    else
        return AF_UNSPEC;
    return peer->family;
}

bool lb_peer_is_same(const union lb_peer *a, const union lb_peer *b)
{
    uint8_t of_a[16], of_b[16];
    sa_family_t family = lb_peer_address(a, of_a);

    /* The port is at the same place for both families. */
    return family != AF_UNSPEC && family == lb_peer_address(b, of_b) &&
           memcmp(of_a, of_b, sizeof(of_a)) == 0 && a->in.sin_port == b->in.sin_port;
}
