/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) of two messages at a time, with the instructions that x86 has for it. Each
 * round of a message waits for the one before, and leaves room for another's: two take a third less
 * time than one after the other. */
#ifndef S3_SHA256_H
#define S3_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { S3_SHA256_BLOCK = 64, S3_SHA256_SIZE = 32 };

struct s3_sha256 {
    uint32_t state[8];
    uint64_t size; /* so many bytes are in there: whole blocks */
};

/* Can this processor? If not, nothing below may be called. */
bool s3_sha256_can(void);

void s3_sha256_init(struct s3_sha256 *sum);

/* So many blocks more, of one message or of each of two. */
void s3_sha256_one(struct s3_sha256 *sum, const uint8_t *data, size_t blocks);
void s3_sha256_two(struct s3_sha256 *sum, const uint8_t *data, struct s3_sha256 *other,
                   const uint8_t *other_data, size_t blocks);

/* The message's last bytes, fewer than a block. */
void s3_sha256_end(struct s3_sha256 *sum, const uint8_t *data, size_t size,
                   uint8_t digest[S3_SHA256_SIZE]);

#endif
