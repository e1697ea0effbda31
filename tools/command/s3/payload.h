/* SPDX-License-Identifier: MIT */
/* The hashes of a stream's payloads, with which its parts are signed. A part is hashed as its bytes
 * come; or, where that takes less time, it waits until it is full, and is hashed beside the next.
 *
 * The first never waits: most streams have no other. */
#ifndef S3_PAYLOAD_H
#define S3_PAYLOAD_H

#include "part.h"

#include <openssl/evp.h>

struct s3_payload {
    EVP_MD_CTX *context; /* of what is hashed as it comes; NULL: nothing is signed */
    bool two;            /* this processor hashes two at a time */
};

/* Returns 0 or -ENOMEM. */
int s3_payload_open(struct s3_payload *payload, bool is_signed);
void s3_payload_close(struct s3_payload *payload);

/* It is full, and has no hash yet. NULL doesn't. */
bool s3_payload_waits(const struct s3_part *part);

/* A part begins, which has to be as large as one that waits before it. Returns 0 or -errno, as the
 * others do. */
int s3_payload_begin(const struct s3_payload *payload, struct s3_part *part);

/* So many bytes have been added to it; before is the part before it, or NULL. Once it is full it
 * has its hash, as has the one before it, or it waits. */
int s3_payload_add(const struct s3_payload *payload, struct s3_part *part, struct s3_part *before,
                   size_t size);

/* No more bytes come: each that there is gets its hash. */
int s3_payload_end(const struct s3_payload *payload, struct s3_part *part, struct s3_part *before);

#endif
