/* SPDX-License-Identifier: MIT */
/* Unit tests of s3/payload.c: whether hashed alone or beside another, in whatever pieces its bytes
 * come, a part has the hash that libcrypto gives it. */
#include "tools/command/s3/payload.h"

#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCK = S3_BLOCK_SIZE, BLOCKS = 64, STREAMS = 60 };

static uint64_t dice = 1;

static size_t below(size_t limit)
{
    return random_between(&dice, 0, limit - 1);
}

/* Of part.c, for parts that are under way. */
void s3_loop_cancel(struct s3_loop *loop, struct s3_request *request)
{
    (void)loop;
    (void)request;
    fail();
}

static void wake(void *context, uint64_t id)
{
    (void)context;
    (void)id;
}

static void check_hash(const struct s3_part *part)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char expected[SIGV4_HEX_SIZE];
    unsigned char digest[32];

    assert_true(EVP_DigestInit_ex(context, EVP_sha256(), NULL));
    for (unsigned i = 0; i < part->count; i++)
        assert_true(EVP_DigestUpdate(context, part->blocks[i].iov_base, part->blocks[i].iov_len));
    assert_true(EVP_DigestFinal_ex(context, digest, NULL));
    EVP_MD_CTX_free(context);
    sigv4_hex(digest, expected);
    assert_string_equal(expected, part->request.payload);
}

struct stream {
    struct s3_memory *memory;
    struct s3_lease lease;
    struct s3_payload payload;
    struct s3_part *part, *before;
    unsigned parts, together; /* how many were handed over by another's end */
};

static void leave(struct s3_part **part)
{
    check_hash(*part);
    s3_part_close(*part);
    *part = NULL;
}

/* As the sink does it. */
static void add(struct stream *stream, size_t room, size_t size)
{
    uint8_t *data;
    size_t piece;

    if (!stream->part) {
        if (s3_payload_waits(stream->before))
            room = stream->before->room;
        stream->part = s3_part_open(stream->memory, &stream->lease, ++stream->parts, room);
        assert_int_equal(0, s3_payload_begin(&stream->payload, stream->part));
    }
    piece = s3_part_room(stream->part, &data);
    assert_true(piece > 0);
    if (size < piece)
        piece = size;
    for (size_t i = 0; i < piece; i += 1 + below(500))
        data[i] = (uint8_t)random_next(&dice);
    s3_part_add(stream->part, piece);
    assert_int_equal(0, s3_payload_add(&stream->payload, stream->part, stream->before, piece));
    if (stream->before && !s3_payload_waits(stream->before)) {
        stream->together++;
        leave(&stream->before);
    }
    if (s3_payload_waits(stream->part)) {
        assert_null(stream->before);
        stream->before = stream->part;
        stream->part = NULL;
    } else if (stream->part->size == stream->part->room) {
        leave(&stream->part);
    }
}

static void end(struct stream *stream)
{
    assert_int_equal(0, s3_payload_end(&stream->payload, stream->part, stream->before));
    if (stream->before)
        leave(&stream->before);
    if (stream->part)
        leave(&stream->part);
    assert_int_equal(0, stream->lease.used);
    s3_memory_leave(stream->memory, &stream->lease);
}

static void run(bool two, unsigned parts)
{
    struct stream stream = {0};
    size_t room = BLOCK * (1 + below(3));
    size_t most = below(2) ? BLOCK : 1 + below(BLOCK);

    stream.memory = s3_memory_open((size_t)BLOCKS * BLOCK, (size_t)4 * BLOCK, wake, NULL);
    assert_int_equal(0, s3_payload_open(&stream.payload, true));
    stream.payload.two = stream.payload.two && two;
    while (stream.parts < parts)
        add(&stream, room, 1 + below(most));
    end(&stream);
    if (!stream.payload.two)
        assert_int_equal(0, stream.together);
    else
        assert_true(stream.together >= (parts - 2) / 2);
    s3_payload_close(&stream.payload);
    s3_memory_close(stream.memory);
}

static void all_have_their_hashes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STREAMS; i++)
        run(i % 2, 2 + i % 5);
}

static void the_first_never_waits(void **state)
{
    struct s3_payload payload;
    struct s3_part first = {.number = 1, .room = BLOCK}, large = {.number = 2, .room = 64 << 20};

    (void)state;
    assert_int_equal(0, s3_payload_open(&payload, true));
    payload.two = true;
    assert_int_equal(0, s3_payload_begin(&payload, &first));
    assert_false(first.in_sum);
    /* Nor does what is so large that to hash it alone would take long. */
    assert_int_equal(0, s3_payload_begin(&payload, &large));
    assert_false(large.in_sum);
    s3_payload_close(&payload);
}

static void unsigned_is_what_it_is_called(void **state)
{
    struct s3_payload payload;
    struct s3_part part = {.number = 2, .room = BLOCK};

    (void)state;
    assert_int_equal(0, s3_payload_open(&payload, false));
    assert_int_equal(0, s3_payload_begin(&payload, &part));
    assert_false(part.in_sum);
    assert_int_equal(0, s3_payload_end(&payload, &part, NULL));
    assert_string_equal(SIGV4_UNSIGNED, part.request.payload);
    s3_payload_close(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_have_their_hashes),
        cmocka_unit_test(the_first_never_waits),
        cmocka_unit_test(unsigned_is_what_it_is_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
