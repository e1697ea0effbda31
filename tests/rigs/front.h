/* SPDX-License-Identifier: MIT */
/* Headers of the PROXY protocol, as a front sends them. Asserts nothing, knows nothing of ours. */
#ifndef FRONT_H
#define FRONT_H

#include <stddef.h>
#include <stdint.h>

enum {
    FRONT_LOCAL = 0x20,
    FRONT_PROXY = 0x21,
    FRONT_TCP4 = 0x11,
    FRONT_TCP6 = 0x21,
    FRONT_UNIX = 0x31,
    FRONT_FIXED = 16, /* bytes before the addresses */
    FRONT_TLV_SUM = 3,
    FRONT_HEADER_MAX = 8192
};

/* Version 1: the line of a peer with that address, IPv4 or IPv6. Returns its size. */
size_t front_text(uint8_t header[FRONT_HEADER_MAX], const char *address, uint16_t port);

/* Version 2, of that peer. */
size_t front_binary(uint8_t header[FRONT_HEADER_MAX], const char *address, uint16_t port);

/* Version 2 with any content. */
size_t front_make(uint8_t header[FRONT_HEADER_MAX], uint8_t command, uint8_t family,
                  const void *content, size_t size);

/* Puts a tlv behind a header of that size. Returns the new size. */
size_t front_add(uint8_t header[FRONT_HEADER_MAX], size_t size, uint8_t type, const void *value,
                 size_t value_size);

/* Puts a checksum behind it, which is right. Returns the new size. */
size_t front_add_sum(uint8_t header[FRONT_HEADER_MAX], size_t size);

#endif
