/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "address.h"

#include <stdio.h>
#include <string.h>

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
