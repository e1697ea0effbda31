/* SPDX-License-Identifier: MIT */
/*
 * Seals: what a sender puts around its stream, so that a cut on the way can't look like its end.
 *
 *     lastbyte-seal/1 ALGO NONCE\n                    ALGO: count, sha256 or hmac-sha256
 *     the content
 *     \nlastbyte-seal/1 end NONCE COUNT HEX\n
 *
 * NONCE is 32 hexadecimal digits, random for each stream; COUNT the content's bytes in 20 decimal
 * digits; HEX 64 hexadecimal digits: SHA-256, or HMAC-SHA-256 by a key, over every byte of the
 * stream before HEX; zeros for count. lastbyte-seal(5) is the manual. Sender and receiver both
 * stand on this file; neither reads or writes here.
 */
#ifndef LB_SEAL_H
#define LB_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LB_SEAL_NONCE_SIZE = 32, /* digits */
    LB_SEAL_FIRST_MAX = 61,  /* bytes of a first line */
    LB_SEAL_END_SIZE = 140,  /* of what follows the content */
    LB_SEAL_KEY_MIN = 32,    /* of a key */
};

enum lb_seal_kind { LB_SEAL_COUNT, LB_SEAL_SHA256, LB_SEAL_HMAC, LB_SEAL_KINDS };

struct lb_seal_key {
    const void *data; /* NULL: no key */
    size_t size;
};

/* One stream's. Zeroed: not open. */
struct lb_seal {
    enum lb_seal_kind kind;
    char nonce[LB_SEAL_NONCE_SIZE + 1];
    uint64_t count; /* bytes of content so far */
    void *running;  /* the digest or the MAC of what came so far */
};

/* ---- sending --------------------------------------------------------------------------------- */

/* With a key the kind is LB_SEAL_HMAC, whatever is asked for. Writes the first line; returns its
 * size, or -errno. */
long lb_seal_begin(struct lb_seal *seal, enum lb_seal_kind kind, const struct lb_seal_key *key,
                   char line[LB_SEAL_FIRST_MAX]);

/* Content was sent, or received. 0 or -EIO. */
int lb_seal_add(struct lb_seal *seal, const void *data, size_t size);

/* Writes what follows the content. 0 or -EIO. Only lb_seal_close may follow. */
int lb_seal_end(struct lb_seal *seal, char end[LB_SEAL_END_SIZE]);

/* Nothing happens if it is not open. */
void lb_seal_close(struct lb_seal *seal);

/* ---- receiving ------------------------------------------------------------------------------- */

/* Could a stream that begins so begin with a first line? */
bool lb_seal_may_begin(const char *text, size_t size);

/* Opens it by a first line, with its newline. Returns 0; -EINVAL: it is none; -EKEYREJECTED: it is
 * keyed and we have no key, or the reverse; -ENOMEM. */
int lb_seal_open(struct lb_seal *seal, const char *line, size_t size,
                 const struct lb_seal_key *key);

/* Is this what follows the content, all of which was added? 0; -EINVAL: it is no end of this
 * stream; -EBADMSG: it is, but bytes are missing, too many or others; -EIO. Only lb_seal_close may
 * follow. */
int lb_seal_check(struct lb_seal *seal, const char end[LB_SEAL_END_SIZE]);

#endif
