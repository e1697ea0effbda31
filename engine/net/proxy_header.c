/* SPDX-License-Identifier: MIT */
#include "proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char no_header[] = "no PROXY header", malformed[] = "malformed",
                  too_long[] = "too long", wrong_sum[] = "wrong CRC32C";

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "both have the port at the same place");

/* ---- version 1 ------------------------------------------------------------------------------- */

static const char word[] = "PROXY ";

enum { WORD_SIZE = sizeof(word) - 1 };

/* As it is written canonically: decimal, no zero in front. */
static bool read_port(in_port_t *port, const char *text)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long number = strtoul(text, NULL, 10);

    if (digits == 0 || digits > 5 || text[digits] != '\0' || number > UINT16_MAX)
        return false;
    *port = htons((uint16_t)number);
    return digits == 1 || text[0] != '0';
}

static bool read_address(union lb_peer *peer, sa_family_t family, const char *address,
                         const char *port)
{
    *peer = (union lb_peer){.in6 = {.sin6_family = family}};
    return inet_pton(family, address,
                     family == AF_INET ? (void *)&peer->in.sin_addr
                                       : (void *)&peer->in6.sin6_addr) == 1 &&
           read_port(&peer->in.sin_port, port);
}

/* Two addresses and two ports, one blank between each. */
static const char *read_addresses(struct lb_proxy_header *header, sa_family_t family, char *text)
{
    union lb_peer source, target;
    char *fields[4];

    for (int i = 0; i < 4; i++) {
        fields[i] = strsep(&text, " ");
        if (!fields[i])
            return malformed;
    }
    if (text || !read_address(&source, family, fields[0], fields[2]) ||
        !read_address(&target, family, fields[1], fields[3]))
        return malformed;
    header->peer = source;
    header->over = true;
    return NULL;
}

/* Its newline has come. */
static const char *read_text(struct lb_proxy_header *header)
{
    char *text = (char *)header->bytes + WORD_SIZE, *end = (char *)header->bytes + header->size - 2;
    static const char unknown[] = "UNKNOWN";
    const size_t length = sizeof(unknown) - 1;

    if (*end != '\r')
        return malformed;
    *end = '\0';
    if (strncmp(text, unknown, length) == 0 && (text + length == end || text[length] == ' ')) {
        header->local = header->over = true; /* whatever else it says means nothing */
        return NULL;
    }
    if (text + strlen(text) != end)
        return malformed;
    if (strncmp(text, "TCP4 ", 5) == 0)
        return read_addresses(header, AF_INET, text + 5);
    if (strncmp(text, "TCP6 ", 5) == 0)
        return read_addresses(header, AF_INET6, text + 5);
    return malformed;
}

static const char *take_text(struct lb_proxy_header *header, size_t at, uint8_t byte)
{
    if (at < WORD_SIZE)
        return byte == (uint8_t)word[at] ? NULL : no_header;
    if (byte == '\n')
        return read_text(header);
    return header->size < LB_PROXY_TEXT_MAX ? NULL : too_long;
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static const uint8_t signature[] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                    '\n', 'Q',  'U',  'I',  'T', '\n'};

enum {
    AT_COMMAND = sizeof(signature),
    AT_FAMILY,
    AT_LENGTH,
    AT_ADDRESSES = AT_LENGTH + 2,

    COMMAND_LOCAL = 0x20, /* the higher half is the version */
    COMMAND_PROXY = 0x21,
    TLV_CRC32C = 3,
    CRC32C_SIZE = 4
};

/* Of one more byte, in two halves. */
static uint32_t crc32c(uint32_t sum, uint8_t byte)
{
    static const uint32_t of_half[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    sum = ~sum ^ byte;
    sum = sum >> 4 ^ of_half[sum & 15];
    sum = sum >> 4 ^ of_half[sum & 15];
    return ~sum;
}

/* Of a family and a transport, which may be a stream or datagrams; -1: there is none such. */
static int size_of_addresses(uint8_t family)
{
    switch (family) {
    case 0x11:
    case 0x12:
        return 2 * (4 + 2);
    case 0x21:
    case 0x22:
        return 2 * (16 + 2);
    case 0x31:
    case 0x32:
        return 2 * 108;
    default:
        return -1;
    }
}

static unsigned number_of(const uint8_t bytes[2])
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* Its fixed part has come. Of a local one, and of what has no addresses, the rest means nothing. */
static const char *read_fixed(struct lb_proxy_header *header)
{
    const uint8_t *bytes = header->bytes;
    unsigned whole = AT_ADDRESSES + number_of(bytes + AT_LENGTH), tlvs = whole;

    if (bytes[AT_COMMAND] != COMMAND_LOCAL && bytes[AT_COMMAND] != COMMAND_PROXY)
        return malformed;
    if (whole > LB_PROXY_BINARY_MAX)
        return too_long;
    header->local = bytes[AT_COMMAND] == COMMAND_LOCAL;
    if (!header->local && bytes[AT_FAMILY] != 0) {
        int size = size_of_addresses(bytes[AT_FAMILY]);

        if (size < 0 || AT_ADDRESSES + (unsigned)size > whole)
            return malformed;
        tlvs = AT_ADDRESSES + (unsigned)size;
    }
    header->whole = (uint16_t)whole;
    header->tlvs = (uint16_t)tlvs;
    return NULL;
}

/* A tlv's type and length have come. */
static const char *begin_value(struct lb_proxy_header *header)
{
    struct lb_proxy_tlv *tlv = &header->tlv;

    tlv->left = (uint16_t)number_of(tlv->field + 1);
    if (tlv->left > header->whole - header->size)
        return malformed;
    if (tlv->field[0] == TLV_CRC32C) {
        if (tlv->left != CRC32C_SIZE || tlv->summed)
            return malformed;
        tlv->summed = true;
    }
    if (tlv->left == 0)
        tlv->have = 0;
    return NULL;
}

/* Makes zeros of a checksum, which it is in what it is made from. */
static const char *take_tlv(struct lb_proxy_header *header, uint8_t *byte)
{
    struct lb_proxy_tlv *tlv = &header->tlv;

    if (tlv->have < sizeof(tlv->field)) {
        tlv->field[tlv->have++] = *byte;
        return tlv->have < sizeof(tlv->field) ? NULL : begin_value(header);
    }
    if (tlv->field[0] == TLV_CRC32C) {
        tlv->sum = tlv->sum << 8 | *byte;
        *byte = 0;
    }
    if (--tlv->left == 0)
        tlv->have = 0;
    return NULL;
}

/* All has come. Peers of a Unix socket have no address that says who they are. */
static const char *read_binary(struct lb_proxy_header *header)
{
    const uint8_t *source = header->bytes + AT_ADDRESSES;
    union lb_peer *peer = &header->peer;

    if (header->tlv.have > 0)
        return malformed;
    if (header->tlv.summed && header->tlv.sum != header->sum)
        return wrong_sum;
    header->over = true;
    if (header->local)
        return NULL;
    if (header->bytes[AT_FAMILY] >> 4 == 1) {
        peer->in.sin_family = AF_INET;
        memcpy(&peer->in.sin_addr, source, 4);
        memcpy(&peer->in.sin_port, source + 2 * 4, 2);
    } else if (header->bytes[AT_FAMILY] >> 4 == 2) {
        peer->in6.sin6_family = AF_INET6;
        memcpy(&peer->in6.sin6_addr, source, 16);
        memcpy(&peer->in6.sin6_port, source + 2 * 16, 2);
    }
    return NULL;
}

static const char *take_binary(struct lb_proxy_header *header, size_t at, uint8_t byte)
{
    const char *wrong = NULL;

    if (at < sizeof(signature) && byte != signature[at])
        return no_header;
    if (at == AT_ADDRESSES - 1)
        wrong = read_fixed(header);
    else if (at >= AT_ADDRESSES && at >= header->tlvs)
        wrong = take_tlv(header, &byte);
    header->sum = crc32c(header->sum, byte);
    return wrong || header->size != header->whole ? wrong : read_binary(header);
}

/* ---- either ---------------------------------------------------------------------------------- */

static const char *take(struct lb_proxy_header *header, uint8_t byte)
{
    size_t at = header->size++;

    if (at < sizeof(header->bytes))
        header->bytes[at] = byte;
    return header->bytes[0] == signature[0] ? take_binary(header, at, byte)
                                            : take_text(header, at, byte);
}

ssize_t lb_proxy_header_take(struct lb_proxy_header *header, const uint8_t *data, size_t size,
                             const char **why)
{
    size_t used = 0;

    while (used < size && !header->over) {
        *why = take(header, data[used++]);
        if (*why)
            return -EPROTO;
    }
    return (ssize_t)used;
}
