/* SPDX-License-Identifier: MIT */
/* The interface that a connection goes over, and what got lost there. */
#ifndef INTERFACE_H
#define INTERFACE_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>

struct interface {
    char device[IF_NAMESIZE]; /* "": not known */
    struct in_addr address;   /* ours */
};

/* That of a connected socket. Returns 0 or -errno. */
int interface_of(int fd, struct interface *interface);

/* Since the machine started: packets that the interface dropped, either way, and segments that TCP
 * has sent again. */
struct losses {
    uint64_t dropped, sent_again;
};

/* What is not known stays 0. */
void losses_read(struct losses *losses, const struct interface *interface);

#endif
