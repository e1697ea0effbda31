/* SPDX-License-Identifier: MIT */
/* Addresses as a person writes them, and as the kernel has them. */
#ifndef LB_ADDRESS_H
#define LB_ADDRESS_H

#include <lastbyte/lastbyte.h>

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

enum lb_address_kind { LB_ADDRESS_TCP, LB_ADDRESS_UNIX, LB_ADDRESS_FD };

struct lb_address {
    enum lb_address_kind kind;
    char host[256]; /* TCP: name or number without brackets; empty: none given */
    char port[6];   /* TCP: a number, 0 to 65535 */
    struct sockaddr_un un;
    socklen_t un_size;
    int fd;
};

/* Returns 0, or -EINVAL with an error that names the address and what would be right. */
int lb_address_parse(struct lb_address *address, const char *text, struct lb_error *error);

/* Asks the resolver, for as long as it takes. family: AF_UNSPEC, AF_INET or AF_INET6; flags: of
 * getaddrinfo(3). *list is the caller's, to free with freeaddrinfo. Returns 0, or -errno with a
 * reason: -EINVAL where all addresses are link-local and name no interface. */
int lb_address_ask(const struct lb_address *address, int family, int flags, struct addrinfo **list,
                   struct lb_error *error);

/* The same, for any family. passive: for listening. */
int lb_address_resolve(const struct lb_address *address, bool passive, struct addrinfo **list,
                       struct lb_error *error);

/* Writes "127.0.0.1:1090" or "[::1]:1090" in at most size bytes with the NUL. An IPv4
 * address mapped into IPv6 is written as IPv4. AF_INET and AF_INET6 only; LB_PEER_SIZE is enough.
 */
void lb_sockaddr_name(const struct sockaddr *address, char *name, size_t size);

/* The same for a Unix socket's address, whose length matters. */
enum { LB_UNIX_NAME_SIZE = sizeof(struct sockaddr_un) + 8 };
void lb_unix_name(const struct sockaddr_un *address, socklen_t address_size, char *name,
                  size_t size);

#endif
