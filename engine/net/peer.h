/* SPDX-License-Identifier: MIT */
/* Who is at the other side of a connection. */
#ifndef LB_PEER_H
#define LB_PEER_H

#include <lastbyte/lastbyte.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* As it was at accept, or as a front says that it is. */
union lb_peer {
    sa_family_t family;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct {
        sa_family_t family;
        int pid, uid; /* -1 unknown */
    } un;
};

/* 0 if fd is a stream socket of TCP or Unix that is or was connected; else -EBADF, -ENOTSOCK,
 * -EPROTOTYPE, -EAFNOSUPPORT or -ENOTCONN. */
int lb_peer_check(int fd);

/* Asks the kernel who fd's peer is. */
void lb_peer_get(union lb_peer *peer, int fd);

/* Writes it as lb_stream_peer does. Returns name. */
const char *lb_peer_name(const union lb_peer *peer, char name[LB_PEER_SIZE]);

/* Its address as the kernel writes one. Returns the size, or -ENOTCONN if nobody knows it. IPv4
 * peers of an IPv6 listener are IPv4; of a Unix socket's the family alone is known. */
int lb_peer_sockaddr(const union lb_peer *peer, struct sockaddr_storage *address);

/* Its peer has sent fd as much as we take at a time, or as is surely kept for us, or all: how much
 * it sends is up to us. *waiting is what has come and was not received yet. */
bool lb_peer_is_ahead(const union lb_peer *peer, int fd, size_t piece, uint64_t *waiting);

/* fd's peer, on this machine, has closed the connection, and does not only say that it has sent
 * all (a half-close). */
bool lb_peer_has_left(int fd);

/* A peer's address in network order: writes 4 or 16 bytes and returns the family, or returns
 * AF_UNSPEC for what has none. IPv4 peers of an IPv6 listener are IPv4. */
sa_family_t lb_peer_address(const union lb_peer *peer, uint8_t address[16]);

/* They have the same address and port. */
bool lb_peer_is_same(const union lb_peer *a, const union lb_peer *b);

#endif
