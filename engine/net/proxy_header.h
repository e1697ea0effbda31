/* SPDX-License-Identifier: MIT */
/* The header of the PROXY protocol, by which a front says before a stream whose connection it
 * passes on: a line of text (version 1) or bytes (version 2), as HAProxy's proxy-protocol.txt has
 * them. */
#ifndef LB_PROXY_HEADER_H
#define LB_PROXY_HEADER_H

#include "peer.h"

enum {
    LB_PROXY_TEXT_MAX = 107,   /* with its CRLF: the longest that there can be */
    LB_PROXY_BINARY_MAX = 4096 /* there could be 64 KiB; what fronts send has a few hundred bytes */
};

/* Behind the addresses of version 2: type, length and value, one after the other. */
struct lb_proxy_tlv {
    uint8_t field[3]; /* type and length, the higher byte first */
    uint8_t have;     /* bytes of field */
    uint16_t left;    /* of the value */
    bool summed;      /* the header has a checksum */
    uint32_t sum;     /* as it was told */
};

/* What has come of a header. Begins zeroed. */
struct lb_proxy_header {
    bool over; /* that was all of it */

    /* Once it is over: */
    bool local;         /* the connection is the front's own, as for a health check; or it may be,
                           as version 1 has one word for that and for what it has no words for */
    union lb_peer peer; /* whose it is; AF_UNSPEC: nobody's, or it doesn't say */

    uint16_t size;           /* bytes so far */
    uint16_t whole, tlvs;    /* version 2: its size, and where the first tlv would be */
    uint32_t sum;            /* version 2: CRC32C of those bytes */
    struct lb_proxy_tlv tlv; /* version 2 */
    uint8_t bytes[LB_PROXY_TEXT_MAX + 1]; /* the first of them */
};

/* Takes what belongs to the header of the size bytes that come next; it isn't over yet. Returns how
 * many that are: fewer than size only if it is over. Or -EPROTO, with *why a static text: it is
 * none, too long, malformed, or not as its checksum says. */
ssize_t lb_proxy_header_take(struct lb_proxy_header *header, const uint8_t *data, size_t size,
                             const char **why);

#endif
