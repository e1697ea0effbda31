/* SPDX-License-Identifier: MIT */
/* Unit tests of s3/sha256.c: the examples that NIST has published, and libcrypto's opinion of any
 * two messages. Where the processor has no such instructions nothing of it is used. */
#include "tools/command/s3/sha256.h"

#include "support.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE_MOST = 20000, ROUNDS = 2000 };

static uint64_t dice = 1;

static size_t below(size_t limit)
{
    return random_between(&dice, 0, limit - 1);
}

static void fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_next(&dice);
}

static void needs_instructions(void)
{
    if (!s3_sha256_can())
        skip();
}

static void sum_alone(const uint8_t *data, size_t size, uint8_t digest[S3_SHA256_SIZE])
{
    size_t whole = size / S3_SHA256_BLOCK * S3_SHA256_BLOCK;
    struct s3_sha256 sum;

    s3_sha256_init(&sum);
    s3_sha256_one(&sum, data, size / S3_SHA256_BLOCK);
    s3_sha256_end(&sum, data + whole, size - whole, digest);
}

static void check(const char *message, const char *expected)
{
    uint8_t digest[S3_SHA256_SIZE];
    char hex[2 * S3_SHA256_SIZE + 1];

    sum_alone((const uint8_t *)message, strlen(message), digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(expected, hex);
}

static void the_examples_of_nist(void **state)
{
    static char million[1000001];

    (void)state;
    needs_instructions();
    check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', 1000000);
    check(million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void check_against_libcrypto(const uint8_t *data, size_t size, const uint8_t *digest)
{
    uint8_t expected[S3_SHA256_SIZE];

    assert_true(EVP_Digest(data, size, expected, NULL, EVP_sha256(), NULL));
    assert_memory_equal(expected, digest, sizeof(expected));
}

static void every_size_as_libcrypto(void **state)
{
    uint8_t data[300], digest[S3_SHA256_SIZE];

    (void)state;
    needs_instructions();
    fill(data, sizeof(data));
    for (size_t size = 0; size <= sizeof(data); size++) {
        sum_alone(data, size, digest);
        check_against_libcrypto(data, size, digest);
    }
}

/* Of both the same number of blocks, in pieces, from places that are not aligned; then each its
 * rest. */
static void two_as_libcrypto(void **state)
{
    static uint8_t data[2][SIZE_MOST + 64];

    (void)state;
    needs_instructions();
    fill(data[0], sizeof(data[0]));
    fill(data[1], sizeof(data[1]));
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint8_t *begin[2] = {data[0] + below(64), data[1] + below(64)};
        size_t size[2] = {below(SIZE_MOST), below(SIZE_MOST)};
        size_t blocks = (size[0] < size[1] ? size[0] : size[1]) / S3_SHA256_BLOCK, done = 0;
        struct s3_sha256 sum[2];

        s3_sha256_init(&sum[0]);
        s3_sha256_init(&sum[1]);
        while (done < blocks) {
            size_t piece = 1 + below(blocks - done), at = done * S3_SHA256_BLOCK;

            s3_sha256_two(&sum[0], begin[0] + at, &sum[1], begin[1] + at, piece);
            done += piece;
        }
        for (unsigned i = 0; i < 2; i++) {
            size_t rest = size[i] - done * S3_SHA256_BLOCK;
            const uint8_t *at = begin[i] + done * S3_SHA256_BLOCK;
            uint8_t digest[S3_SHA256_SIZE];

            s3_sha256_one(&sum[i], at, rest / S3_SHA256_BLOCK);
            s3_sha256_end(&sum[i], at + rest / S3_SHA256_BLOCK * S3_SHA256_BLOCK,
                          rest % S3_SHA256_BLOCK, digest);
            check_against_libcrypto(begin[i], size[i], digest);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_nist),
        cmocka_unit_test(every_size_as_libcrypto),
        cmocka_unit_test(two_as_libcrypto),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
