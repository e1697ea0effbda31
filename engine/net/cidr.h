/* SPDX-License-Identifier: MIT */
/* Networks in CIDR notation, IPv4 or IPv6, and whether an address is in them. */
#ifndef LB_CIDR_H
#define LB_CIDR_H

#include <lastbyte/lastbyte.h>

#include <sys/socket.h>

struct lb_cidr {
    sa_family_t family; /* AF_INET or AF_INET6 */
    unsigned prefix;    /* bits that must be the same */
    uint8_t address[16];
};

/* "192.0.2.0/24", "2001:db8::/32", or one address. IPv4 written as IPv6 (::ffff:192.0.2.0/120) is
 * IPv4. Returns 0, or -EINVAL with the text and the remedy in error. */
int lb_cidr_parse(struct lb_cidr *network, const char *text, struct lb_error *error);

bool lb_cidr_has(const struct lb_cidr *network, sa_family_t family, const uint8_t address[16]);

/* Some of them. Begins zeroed. */
struct lb_cidr_list {
    struct lb_cidr *items;
    size_t count;
};

/* As lb_cidr_parse; or -ENOMEM. */
int lb_cidr_list_add(struct lb_cidr_list *list, const char *text, struct lb_error *error);
void lb_cidr_list_done(struct lb_cidr_list *list);

/* One of them has it. */
bool lb_cidr_list_has(const struct lb_cidr_list *list, sa_family_t family,
                      const uint8_t address[16]);

#endif
