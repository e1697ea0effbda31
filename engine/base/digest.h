/* SPDX-License-Identifier: MIT */
/* Digests of streams: xxh3 (128 bits, against accidents) and sha256 (against forgers too). The
 * engine's receipts, the sink hash and the sender all make them here. */
#ifndef LB_DIGEST_H
#define LB_DIGEST_H

#include <stddef.h>

/* A digest in hexadecimal, with its terminating NUL. */
enum { LB_DIGEST_TEXT_SIZE = 65 };

/* An algorithm that was looked up once: for libcrypto's that takes a lock. */
struct lb_digest_method {
    const struct lb_digest_algorithm *algorithm;
    void *looked_up; /* what the algorithm needs, or NULL */
};

/* One digest under way. */
struct lb_digest {
    const struct lb_digest_algorithm *algorithm; /* NULL: not open */
    void *running;
};

/* NULL names the default, xxh3. -EINVAL: there is no such algorithm; -ENOTSUP: this libcrypto does
 * not offer it. */
int lb_digest_choose(struct lb_digest_method *method, const char *name);

/* Digests that were opened with it may still be used. Nothing happens if it was never chosen (all
 * zero). */
void lb_digest_release(struct lb_digest_method *method);

/* The algorithm's name as options and receipts spell it. Static. */
const char *lb_digest_name(const struct lb_digest_method *method);

/* Allocates. 0 or -ENOMEM. */
int lb_digest_open(struct lb_digest *digest, const struct lb_digest_method *method);

/* 0 or -EIO. */
int lb_digest_update(struct lb_digest *digest, const void *data, size_t size);

/* Writes the digest of everything so far, after which only close is allowed. 0 or -EIO. */
int lb_digest_finish(struct lb_digest *digest, char text[LB_DIGEST_TEXT_SIZE]);

/* Nothing happens if it is not open (all zero, or closed). */
void lb_digest_close(struct lb_digest *digest);

#endif
