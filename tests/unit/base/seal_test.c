/* SPDX-License-Identifier: MIT */
/* Seals: what was sealed opens, and nothing else does. */
#include "unit.h"

#include "seal.h"

#include <errno.h>
#include <string.h>

enum { STREAM_MAX = 2048 };

struct stream {
    char data[STREAM_MAX];
    size_t size;
};

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const struct lb_seal_key no_key, key = {secret, sizeof(secret) - 1},
                                        other_key = {secret, sizeof(secret) - 2};

static const struct lb_seal_key *key_of(enum lb_seal_kind kind)
{
    return kind == LB_SEAL_HMAC ? &key : &no_key;
}

static void append(struct stream *stream, const void *data, size_t size)
{
    assert_true(size <= sizeof(stream->data) - stream->size);
    memcpy(stream->data + stream->size, data, size);
    stream->size += size;
}

static void make(struct stream *stream, enum lb_seal_kind kind, const void *content, size_t size)
{
    char first[LB_SEAL_FIRST_MAX], end[LB_SEAL_END_SIZE];
    struct lb_seal seal;
    long used = lb_seal_begin(&seal, kind, key_of(kind), first);

    assert_in_range(used, 1, sizeof(first));
    assert_int_equal(lb_seal_add(&seal, content, size / 3), 0);
    assert_int_equal(lb_seal_add(&seal, (const char *)content + size / 3, size - size / 3), 0);
    assert_int_equal(lb_seal_end(&seal, end), 0);
    lb_seal_close(&seal);
    stream->size = 0;
    append(stream, first, (size_t)used);
    append(stream, content, size);
    append(stream, end, sizeof(end));
}

/* As a receiver does. *content is where it begins, if it opens. */
static int judge(const struct stream *stream, const struct lb_seal_key *with, const char **content,
                 size_t *size)
{
    const char *newline = memchr(stream->data, '\n', stream->size);
    struct lb_seal seal = {0};
    int rc;

    if (!newline)
        return -EINVAL;
    *content = newline + 1;
    rc = lb_seal_open(&seal, stream->data, (size_t)(*content - stream->data), with);
    if (rc == 0) {
        size_t left = stream->size - (size_t)(*content - stream->data);

        *size = left < LB_SEAL_END_SIZE ? 0 : left - LB_SEAL_END_SIZE;
        rc = left < LB_SEAL_END_SIZE ? -EINVAL : lb_seal_add(&seal, *content, *size);
        if (rc == 0)
            rc = lb_seal_check(&seal, *content + *size);
    }
    lb_seal_close(&seal);
    return rc;
}

static bool opens(const struct stream *stream, const struct lb_seal_key *with)
{
    const char *content;
    size_t size;

    return judge(stream, with, &content, &size) == 0;
}

static void what_was_sealed_opens(void **state)
{
    static const char *const contents[] = {"", "a", "hello, world\n", "\n\n\n",
                                           "lastbyte-seal/1 sha256 "};
    const char *content;
    size_t size;

    (void)state;
    for (int kind = 0; kind < LB_SEAL_KINDS; kind++) {
        for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
            struct stream stream;

            make(&stream, (enum lb_seal_kind)kind, contents[i], strlen(contents[i]));
            assert_true(lb_seal_may_begin(stream.data, stream.size));
            assert_int_equal(judge(&stream, key_of((enum lb_seal_kind)kind), &content, &size), 0);
            assert_int_equal(size, strlen(contents[i]));
            assert_memory_equal(content, contents[i], size);
        }
    }
}

/* Of count only what it covers: all but the content. */
static bool is_covered(const struct stream *stream, enum lb_seal_kind kind, size_t place)
{
    size_t first = (size_t)((const char *)memchr(stream->data, '\n', stream->size) - stream->data);

    return kind != LB_SEAL_COUNT || place <= first || place >= stream->size - LB_SEAL_END_SIZE;
}

static void a_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < LB_SEAL_KINDS; kind++) {
        struct stream stream;

        make(&stream, (enum lb_seal_kind)kind, "some content", 12);
        for (size_t bit = 0; bit < 8 * stream.size; bit++) {
            char mask = (char)(1 << (bit % 8));

            if (!is_covered(&stream, (enum lb_seal_kind)kind, bit / 8))
                continue;
            stream.data[bit / 8] ^= mask;
            assert_false(opens(&stream, key_of((enum lb_seal_kind)kind)));
            stream.data[bit / 8] ^= mask;
        }
        assert_true(opens(&stream, key_of((enum lb_seal_kind)kind)));
    }
}

static void a_byte_less_or_more_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < LB_SEAL_KINDS; kind++) {
        struct stream whole, changed;

        make(&whole, (enum lb_seal_kind)kind, "some content", 12);
        for (size_t i = 0; i < whole.size; i++) {
            changed = whole; /* the rest is cut */
            changed.size = i;
            assert_false(opens(&changed, key_of((enum lb_seal_kind)kind)));
            append(&changed, whole.data + i + 1, whole.size - i - 1); /* one is missing */
            assert_false(opens(&changed, key_of((enum lb_seal_kind)kind)));
            changed.size = i;
            append(&changed, "x", 1);
            append(&changed, whole.data + i, whole.size - i);
            assert_false(opens(&changed, key_of((enum lb_seal_kind)kind)));
        }
        changed = whole;
        append(&changed, "\n", 1);
        assert_false(opens(&changed, key_of((enum lb_seal_kind)kind)));
    }
}

/* A stream that was captured, inside another: its end is not the outer one's. */
static void a_nested_seal_is_content(void **state)
{
    const char *content;
    size_t size;

    (void)state;
    for (int kind = 0; kind < LB_SEAL_KINDS; kind++) {
        const struct lb_seal_key *with = key_of((enum lb_seal_kind)kind);
        struct stream inner, outer;

        make(&inner, (enum lb_seal_kind)kind, "inner", 5);
        make(&outer, (enum lb_seal_kind)kind, inner.data, inner.size);
        assert_int_equal(judge(&outer, with, &content, &size), 0);
        assert_int_equal(size, inner.size);
        assert_memory_equal(content, inner.data, size);
        outer.size -= LB_SEAL_END_SIZE; /* now it ends as the inner one does */
        assert_int_equal(judge(&outer, with, &content, &size), -EINVAL);
    }
}

static void keyed_and_unkeyed_do_not_mix(void **state)
{
    const char *content;
    size_t size;

    (void)state;
    for (int kind = 0; kind < LB_SEAL_KINDS; kind++) {
        bool keyed = kind == LB_SEAL_HMAC;
        struct stream stream;

        make(&stream, (enum lb_seal_kind)kind, "content", 7);
        assert_int_equal(judge(&stream, keyed ? &no_key : &key, &content, &size), -EKEYREJECTED);
        if (keyed)
            assert_int_equal(judge(&stream, &other_key, &content, &size), -EBADMSG);
    }
}

static void a_key_makes_it_keyed(void **state)
{
    char line[LB_SEAL_FIRST_MAX];
    struct lb_seal seal;
    long size = lb_seal_begin(&seal, LB_SEAL_COUNT, &key, line);

    (void)state;
    assert_int_equal(size, LB_SEAL_FIRST_MAX);
    assert_memory_equal(line, "lastbyte-seal/1 hmac-sha256 ", 28);
    lb_seal_close(&seal);
    lb_seal_close(&seal);
}

static void each_stream_has_a_nonce(void **state)
{
    struct stream one, two;

    (void)state;
    make(&one, LB_SEAL_COUNT, "", 0);
    make(&two, LB_SEAL_COUNT, "", 0);
    assert_int_equal(one.size, two.size);
    assert_memory_not_equal(one.data, two.data, one.size);
}

static void other_lines_are_none(void **state)
{
    static const char *const lines[] = {
        "\n",
        "GET / HTTP/1.1\r\n",
        "lastbyte-seal/1 \n",
        "lastbyte-seal/1 md5 00000000000000000000000000000000\n",
        "lastbyte-seal/1 sha256 0000000000000000000000000000000\n",
        "lastbyte-seal/1 sha256 0000000000000000000000000000000A\n",
        "lastbyte-seal/1 sha256  00000000000000000000000000000000\n",
        "lastbyte-seal/2 sha256 00000000000000000000000000000000\n",
    };
    struct lb_seal seal;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(lb_seal_open(&seal, lines[i], strlen(lines[i]), &no_key), -EINVAL);
        lb_seal_close(&seal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(a_flipped_bit_is_refused),
        cmocka_unit_test(a_byte_less_or_more_is_refused),
        cmocka_unit_test(a_nested_seal_is_content),
        cmocka_unit_test(keyed_and_unkeyed_do_not_mix),
        cmocka_unit_test(a_key_makes_it_keyed),
        cmocka_unit_test(each_stream_has_a_nonce),
        cmocka_unit_test(other_lines_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
