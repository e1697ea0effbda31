/* SPDX-License-Identifier: MIT */
/* What tells right bytes from wrong ones, and how late messages are. */
#include "message.h"
#include "payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 600000 };

static uint8_t stream[SIZE + 1];

static int make_stream(void **state)
{
    uint64_t begin = payload_phase(5);

    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        stream[i] = *payload_at(begin + i);
    return 0;
}

/* In pieces of the given size. */
static bool is_wrong(const uint8_t *data, size_t size, size_t piece)
{
    struct payload_check check = {0};

    for (size_t i = 0; i < size; i += piece)
        payload_check(&check, data + i, size - i < piece ? size - i : piece);
    return check.wrong;
}

static void right_bytes_in_any_pieces(void **state)
{
    static const size_t pieces[] = {1, 3, 7, 8, 9, 1000, 65536, 262144, SIZE};

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
        assert_false(is_wrong(stream, SIZE, pieces[i]));
    assert_false(is_wrong(stream, 13, 5));
    assert_false(is_wrong(stream, 0, 1));
}

static void every_single_loss_shows(void **state)
{
    (void)state;
    for (size_t lost = 0; lost < SIZE - 1; lost += 14983) {
        memmove(stream + lost, stream + lost + 1, SIZE - lost - 1);
        assert_true(is_wrong(stream, SIZE - 1, 65536));
        make_stream(NULL);
    }
}

static void changed_and_moved_bytes_show(void **state)
{
    static uint8_t part[65536];

    (void)state;
    stream[SIZE - 1] ^= 1;
    assert_true(is_wrong(stream, SIZE, 4096));
    make_stream(NULL);
    stream[7] ^= 0x80;
    assert_true(is_wrong(stream, SIZE, 4096));
    make_stream(NULL);
    /* Two pieces of 64 KiB change places. */
    memcpy(part, stream + 65536, sizeof(part));
    memcpy(stream + 65536, stream + 4 * 65536, sizeof(part));
    memcpy(stream + 4 * 65536, part, sizeof(part));
    assert_true(is_wrong(stream, SIZE, 65536));
}

static void no_two_streams_are_alike(void **state)
{
    (void)state;
    for (uint64_t a = 0; a < 200; a++)
        for (uint64_t b = a + 1; b < 200; b++)
            assert_true(memcmp(payload_at(payload_phase(a)), payload_at(payload_phase(b)), 8) != 0);
    assert_true(payload_phase(0) != payload_phase(20000));
}

static void digests_differ_and_repeat(void **state)
{
    char one[PAYLOAD_DIGEST_SIZE], again[PAYLOAD_DIGEST_SIZE], other[PAYLOAD_DIGEST_SIZE];

    (void)state;
    payload_digest(1, 1000000, one);
    payload_digest(1, 1000000, again);
    payload_digest(2, 1000000, other);
    assert_int_equal(strlen(one), 32);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
}

/* ---- stamped messages ------------------------------------------------------------------------ */

enum { MESSAGES = 100 };

static struct histogram latency;

/* Message i was due at 1000 * i, the first ten to warm up. */
static void make_messages(struct message *messages)
{
    memset(&latency, 0, sizeof(latency));
    for (uint64_t i = 0; i < MESSAGES; i++)
        message_make(&messages[i], i < 10 ? 0 : i * 1000, i);
}

static bool read_messages(const void *data, size_t size, size_t piece, uint64_t now)
{
    struct message_reader reader = {0};

    for (size_t i = 0; i < size; i += piece)
        message_read(&reader, (const char *)data + i, size - i < piece ? size - i : piece, now,
                     &latency);
    return !reader.wrong && reader.have == 0;
}

static void lateness_is_from_the_plan(void **state)
{
    static const size_t pieces[] = {1, 63, 64, 65, 100, 1000, sizeof(struct message[MESSAGES])};
    struct message messages[MESSAGES];

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        make_messages(messages);
        assert_true(read_messages(messages, sizeof(messages), pieces[i], 100000));
        assert_int_equal(latency.count, MESSAGES - 10);
        assert_int_equal(latency.max, 90000);
        assert_in_range(histogram_percentile(&latency, 0), 1000, 1008);
    }
}

static void lost_and_doubled_messages_show(void **state)
{
    struct message messages[MESSAGES];

    (void)state;
    make_messages(messages);
    memmove(&messages[50], &messages[51], sizeof(messages[0]) * (MESSAGES - 51));
    assert_false(read_messages(messages, sizeof(messages), 1000, 100000));
    make_messages(messages);
    messages[50] = messages[49];
    assert_false(read_messages(messages, sizeof(messages), 1000, 100000));
    make_messages(messages);
    messages[99].rest[47] ^= 1;
    assert_false(read_messages(messages, sizeof(messages), 1000, 100000));
}

static int open_payload(void **state)
{
    (void)state;
    return payload_open();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(right_bytes_in_any_pieces, make_stream),
        cmocka_unit_test_setup(every_single_loss_shows, make_stream),
        cmocka_unit_test_setup(changed_and_moved_bytes_show, make_stream),
        cmocka_unit_test(no_two_streams_are_alike),
        cmocka_unit_test(digests_differ_and_repeat),
        cmocka_unit_test(lateness_is_from_the_plan),
        cmocka_unit_test(lost_and_doubled_messages_show),
    };

    return cmocka_run_group_tests(tests, open_payload, NULL);
}
