/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: addresses, and connecting to them. */
#ifndef LASTBYTE_CONNECT_H
#define LASTBYTE_CONNECT_H

#include <lastbyte/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* HOST:PORT, :PORT, [V6]:PORT, unix:PATH, unix:@NAME (abstract), fd:N. Checks the form only, asks
 * no resolver. Returns 0 or -EINVAL. [any thread] */
LB_PUBLIC int lb_address_check(const char *address, struct lb_error *error);

/* ADDRESS/BITS or one address, IPv4 or IPv6; no bit may be set behind the first BITS. IPv4 peers
 * are IPv4 whatever the listener is. Returns 0 or -EINVAL. [any thread] */
LB_PUBLIC int lb_network_check(const char *network, struct lb_error *error);

enum lb_connect_flags {
    LB_CONNECT_IPV4 = 1 << 0, /* of a name's addresses, only those of IPv4 */
    LB_CONNECT_IPV6 = 1 << 1, /* only those of IPv6; with both flags either */
    /* TCP: leave SO_LINGER as it is while connecting, on with no time, so that any close, that by
     * the process's own death included, resets the connection. Turn it off before a close that is
     * to end the stream, or what the socket still holds is lost. Unix sockets have no reset. */
    LB_CONNECT_RESET = 1 << 2,
};

/* Connects to an address of one of these forms (a missing HOST means localhost; fd:N is not one).
 * A name's addresses are tried in the resolver's order, the families in turn, each a quarter of a
 * second (or a share of the time, if that is less) after the one before unless that failed sooner;
 * the first that connects wins, and the others are reset. Returns a close-on-exec, blocking
 * descriptor that the caller owns, or -errno. timeout_ms bounds the whole call, and then a resolver
 * that has not answered is left to itself, in a thread that ends when it has (don't unload the
 * library meanwhile); negative: as long as resolver and kernel take. flags: of enum
 * lb_connect_flags; others are refused (-EINVAL), those of TCP ignored for Unix sockets. Blocks.
 * [any thread] */
LB_PUBLIC int lb_connect_with(const char *address, unsigned flags, int timeout_ms,
                              struct lb_error *error);

/* The same with no flags. Blocks. [any thread] */
LB_PUBLIC int lb_connect(const char *address, int timeout_ms, struct lb_error *error);

#ifdef __cplusplus
}
#endif

#endif
