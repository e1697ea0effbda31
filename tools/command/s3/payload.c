/* SPDX-License-Identifier: MIT */
#include "payload.h"

#include <errno.h>
#include <string.h>

/* For whoever has to be hashed alone in the end: 8 ms on its receive thread. */
enum { WAITS_MOST = 16 << 20 };

int s3_payload_open(struct s3_payload *payload, bool is_signed)
{
    *payload = (struct s3_payload){.two = is_signed && s3_sha256_can()};
    if (is_signed)
        payload->context = EVP_MD_CTX_new();
    return is_signed && !payload->context ? -ENOMEM : 0;
}

void s3_payload_close(struct s3_payload *payload)
{
    EVP_MD_CTX_free(payload->context);
    payload->context = NULL;
}

bool s3_payload_waits(const struct s3_part *part)
{
    return part && part->size == part->room && !*part->request.payload;
}

int s3_payload_begin(const struct s3_payload *payload, struct s3_part *part)
{
    part->in_sum = payload->two && part->number > 1 && part->room <= WAITS_MOST;
    if (part->in_sum)
        s3_sha256_init(&part->sum);
    else if (payload->context && !EVP_DigestInit_ex(payload->context, EVP_sha256(), NULL))
        return -ENOMEM;
    return 0;
}

/* What is not in its sum yet, as far as it lies in one piece. */
static const uint8_t *rest_of(const struct s3_part *part, size_t *size)
{
    const struct iovec *block = &part->blocks[part->sum.size / S3_BLOCK_SIZE];
    size_t within = part->sum.size % S3_BLOCK_SIZE;

    *size = part->sum.size < part->size ? block->iov_len - within : 0;
    return *size ? (const uint8_t *)block->iov_base + within : NULL;
}

/* As far as both have whole blocks. */
static void sum_both(struct s3_part *part, struct s3_part *other)
{
    for (;;) {
        size_t size, other_size;
        const uint8_t *data = rest_of(part, &size), *other_data = rest_of(other, &other_size);
        size_t blocks = (size < other_size ? size : other_size) / S3_SHA256_BLOCK;

        if (blocks == 0)
            return;
        s3_sha256_two(&part->sum, data, &other->sum, other_data, blocks);
    }
}

static void end_sum(struct s3_part *part)
{
    uint8_t digest[S3_SHA256_SIZE];
    const uint8_t *data;
    size_t size;

    while ((data = rest_of(part, &size)) && size >= S3_SHA256_BLOCK)
        s3_sha256_one(&part->sum, data, size / S3_SHA256_BLOCK);
    s3_sha256_end(&part->sum, data, size, digest);
    sigv4_hex(digest, part->request.payload);
}

static int end_part(const struct s3_payload *payload, struct s3_part *part)
{
    unsigned char digest[S3_SHA256_SIZE];

    if (part->in_sum) {
        end_sum(part);
    } else if (!payload->context) {
        memcpy(part->request.payload, SIGV4_UNSIGNED, sizeof(SIGV4_UNSIGNED));
    } else {
        if (!EVP_DigestFinal_ex(payload->context, digest, NULL))
            return -ENOMEM;
        sigv4_hex(digest, part->request.payload);
    }
    return 0;
}

int s3_payload_add(const struct s3_payload *payload, struct s3_part *part, struct s3_part *before,
                   size_t size)
{
    const struct iovec *block = &part->blocks[part->count - 1];
    const uint8_t *data = (const uint8_t *)block->iov_base + block->iov_len - size;
    bool waits = s3_payload_waits(before);

    if (waits)
        sum_both(part, before);
    else if (payload->context && !part->in_sum && !EVP_DigestUpdate(payload->context, data, size))
        return -EIO;
    if (part->size < part->room || (part->in_sum && !waits))
        return 0;
    return s3_payload_end(payload, part, before);
}

int s3_payload_end(const struct s3_payload *payload, struct s3_part *part, struct s3_part *before)
{
    if (s3_payload_waits(before))
        end_sum(before);
    return part ? end_part(payload, part) : 0;
}
