/* SPDX-License-Identifier: MIT */
/* Unit tests of what the sink s3 reads and writes: keys, sizes of parts, answers, lists of parts.
 */
#include "tools/command/s3/answer.h"
#include "tools/command/s3/etags.h"
#include "tools/command/s3/key.h"
#include "tools/command/s3/options.h"
#include "tools/command/s3/size.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void keys_are_unique_and_ours(void **state)
{
    char first[S3_NAME_SIZE], second[S3_NAME_SIZE];

    (void)state;
    assert_int_equal(0, s3_key_make(first, "drop/", "host-1"));
    assert_int_equal(0, s3_key_make(second, "drop/", "host-1"));
    assert_string_not_equal(first, second);
    assert_true(s3_key_is_prefix(first)); /* of no other characters */
    assert_true(s3_key_is_ours(first, "drop/", "host-1"));
    assert_false(s3_key_is_ours(first, "drop/", "host"));
    assert_false(s3_key_is_ours(first, "drop/", "1"));
    assert_false(s3_key_is_ours(first, "", "host-1"));
    strcat(first, "0");
    assert_false(s3_key_is_ours(first, "drop/", "host-1"));
    assert_false(s3_key_is_ours("drop/20261130T", "drop/", "host-1"));
    assert_false(s3_key_is_ours("drop/mine-host-1-0123456789abcdef", "drop/", "host-1"));
}

static void names_that_are_none(void **state)
{
    static const char *const marks[] = {"", "a/b", "a b", "\xc3\xa4", "a*"};
    static const char *const prefixes[] = {"/a", "a//b", "../a", "a/../b", "a b", "a?", "%41"};
    static const char *const buckets[] = {"", "ab", ".abc", "-abc", "a..b", "a/b", "a b"};

    (void)state;
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        assert_false(s3_key_is_mark(marks[i]));
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        assert_false(s3_key_is_prefix(prefixes[i]));
    for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++)
        assert_false(s3_key_is_bucket(buckets[i]));
    assert_true(s3_key_is_prefix(""));
    assert_true(s3_key_is_bucket("my-bucket.1"));
}

/* How much fits into so many parts, in GiB. */
static uint64_t capacity(uint64_t first, unsigned max_parts, uint64_t *largest)
{
    uint64_t had = 0;

    *largest = 0;
    for (unsigned i = 0; i < max_parts && had < S3_OBJECT_MOST; i++) {
        uint64_t size = s3_size_of_part(had, first, max_parts);

        assert_true(size >= *largest && size <= S3_PART_MOST);
        *largest = size;
        had += size;
    }
    return had >> 30;
}

static void parts_grow_so_that_the_largest_object_fits(void **state)
{
    uint64_t largest;

    (void)state;
    assert_true(capacity(S3_PART_LEAST, 10000, &largest) >= S3_OBJECT_MOST >> 30);
    assert_true(largest <= 700ull << 20);
    assert_true(capacity(8 << 20, 10000, &largest) >= S3_OBJECT_MOST >> 30);
    assert_true(capacity(8 << 20, 1000, &largest) >= 3 << 10);
    /* A short stream's are as the first, and one of some GiB takes no more than twice that. */
    assert_int_equal(8 << 20, s3_size_of_part(24 << 20, 8 << 20, 10000));
    assert_int_equal(16 << 20, s3_size_of_part(32 << 20, 8 << 20, 10000));
    assert_int_equal(16 << 20, s3_size_of_part(6ull << 30, 8 << 20, 10000));
    assert_int_equal(S3_PART_MOST, s3_size_of_part(4 * S3_PART_MOST, S3_PART_MOST, 10000));
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct s3_listed listed[4];
static size_t listed_count;

static void keep(void *context, const struct s3_listed *upload)
{
    (void)context;
    listed[listed_count++] = *upload;
}

static struct s3_answer *read_answer(const char *text)
{
    static struct s3_answer answer;

    listed_count = 0;
    assert_int_equal(0, s3_answer_read(&answer, text, strlen(text), keep, NULL));
    return &answer;
}

static void answers_are_read(void **state)
{
    const struct s3_answer *answer =
        read_answer("<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>a &amp; "
                    "b</Message><Resource>/x</Resource></Error>");

    (void)state;
    assert_true(answer->whole);
    assert_string_equal("Error", answer->root);
    assert_string_equal("SlowDown", answer->code);
    assert_string_equal("a & b", answer->text);
    answer = read_answer("<a:InitiateMultipartUploadResult xmlns:a=\"u\"><a:Key>k</a:Key>"
                         "<a:UploadId>2~id</a:UploadId></a:InitiateMultipartUploadResult>");
    assert_string_equal("InitiateMultipartUploadResult", answer->root);
    assert_string_equal("2~id", answer->upload_id);
}

static void a_list_is_told_upload_by_upload(void **state)
{
    const struct s3_answer *answer =
        read_answer("<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b"
                    "</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker><Upload><Key>a</Key>"
                    "<UploadId>1</UploadId><Owner><ID>x</ID></Owner></Upload><Upload><Key>b</Key>"
                    "<UploadId>2</UploadId></Upload><Upload><Key>no id</Key></Upload>"
                    "</ListMultipartUploadsResult>");

    (void)state;
    assert_int_equal(2, listed_count);
    assert_string_equal("a", listed[0].key);
    assert_string_equal("2", listed[1].upload_id);
    assert_true(answer->truncated);
    assert_string_equal("b", answer->next_key);
    assert_string_equal("2", answer->next_upload_id);
}

static void what_is_cut_or_none_is_not_whole(void **state)
{
    char text[3000] = "<R><UploadId>";

    (void)state;
    assert_false(read_answer("")->whole);
    assert_false(read_answer("hello")->whole);
    assert_false(read_answer("<CompleteMultipartUploadResult><ETag>1</ETag>")->whole);
    memset(text + strlen(text), 'x', 2000);
    strcat(text, "</UploadId></R>");
    assert_true(read_answer(text)->whole);
    assert_string_equal("", read_answer(text)->upload_id); /* too long */
}

static void the_list_has_all_parts_in_order(void **state)
{
    struct s3_etags etags = {0};
    char *list;

    (void)state;
    assert_int_equal(0, s3_etags_keep(&etags, 2, "\"b\""));
    assert_int_equal(0, s3_etags_keep(&etags, 1, "\"x\""));
    assert_int_equal(0, s3_etags_keep(&etags, 1, "\"a\""));
    assert_int_equal(-EINVAL, s3_etags_keep(&etags, 3, ""));
    assert_int_equal(-EINVAL, s3_etags_keep(&etags, 3, "</ETag>"));
    assert_int_equal(0, s3_etags_keep(&etags, 40, "\"z\""));
    list = s3_etags_list(&etags);
    assert_non_null(strstr(list, "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part>"
                                 "<Part><PartNumber>2</PartNumber><ETag>\"b\"</ETag></Part>"));
    assert_non_null(strstr(list, "<PartNumber>40</PartNumber><ETag>\"z\"</ETag>"));
    free(list);
    s3_etags_done(&etags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_unique_and_ours),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(parts_grow_so_that_the_largest_object_fits),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(a_list_is_told_upload_by_upload),
        cmocka_unit_test(what_is_cut_or_none_is_not_whole),
        cmocka_unit_test(the_list_has_all_parts_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
