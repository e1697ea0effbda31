/* SPDX-License-Identifier: MIT */
/* A network in CIDR notation, IPv4 or IPv6, and whether an address is in it. */
#ifndef LB_NETWORK_H
#define LB_NETWORK_H

#include "stream.h"

struct lb_network {
    sa_family_t family; /* AF_INET or AF_INET6 */
    unsigned prefix;    /* bits that must be the same */
    uint8_t address[16];
};

/* "192.0.2.0/24", "2001:db8::/32", or one address. IPv4 written as IPv6 (::ffff:192.0.2.0/120) is
 * IPv4. Returns 0, or -EINVAL with the text and the remedy in error. */
int lb_network_parse(struct lb_network *network, const char *text, struct lb_error *error);

/* A peer's address in network order: writes 4 or 16 bytes and returns the family, or returns
 * AF_UNSPEC for what has none. IPv4 peers of an IPv6 listener are IPv4. */
sa_family_t lb_peer_address(const union lb_peer *peer, uint8_t address[16]);

bool lb_network_has(const struct lb_network *network, sa_family_t family,
                    const uint8_t address[16]);

#endif
