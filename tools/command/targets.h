/* SPDX-License-Identifier: MIT */
#ifndef TARGETS_H
#define TARGETS_H

#include <lastbyte/lastbyte.h>

#include <stddef.h>

/* Where send sends to: one address, or several of TCP with commas between, "one:1090,two:1090". */
struct targets {
    char *text; /* what the addresses are parts of */
    const char **addresses;
    size_t count;
};

/* Takes text apart, and checks each. Returns 0, or -errno with error filled; targets_done in any
 * case. */
int targets_read(struct targets *targets, const char *text, struct lb_error *error);
void targets_done(struct targets *targets);

/* Connects to the first in order that can be connected to, and tells which that is. Returns as
 * lb_connect_with does; of several the error tells each. */
int targets_connect(const struct targets *targets, unsigned flags, int timeout_ms,
                    const char **connected, struct lb_error *error);

#endif
