/* SPDX-License-Identifier: MIT */
/* Unit tests of the command's receipt.c: which lines are receipts, and how one is found. */
#include "tools/command/receipt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH3 "99aa06d3014798d86001c324468d497f"
#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* The text without its NUL, in memory of exactly its size: reading beyond it shows. */
static int read_exactly(struct receipt *receipt, const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, text, size);
    int error = receipt_read(receipt, copy, size);
    free(copy);
    return error;
}

static void expect_ok(const char *text, uint64_t bytes, const char *algorithm, const char *digest,
                      const char *id)
{
    struct receipt receipt;

    if (read_exactly(&receipt, text, strlen(text)))
        fail_msg("refused: %s", text);
    assert_true(receipt.ok);
    assert_int_equal(bytes, receipt.bytes);
    assert_string_equal(algorithm, receipt.algorithm);
    assert_string_equal(digest, receipt.digest);
    assert_string_equal(id, receipt.word);
}

static void expect_error(const char *text, uint64_t bytes, const char *reason)
{
    struct receipt receipt;

    if (read_exactly(&receipt, text, strlen(text)))
        fail_msg("refused: %s", text);
    assert_false(receipt.ok);
    assert_int_equal(bytes, receipt.bytes);
    assert_string_equal("", receipt.algorithm);
    assert_string_equal("", receipt.digest);
    assert_string_equal(reason, receipt.word);
}

static void receipts(void **state)
{
    (void)state;
    expect_ok("ok 0 xxh3:" XXH3 " 1\n", 0, "xxh3", XXH3, "1");
    expect_ok("ok 18446744073709551615 sha256:" SHA256 " 20261122T101112.000001-7\n", UINT64_MAX,
              "sha256", SHA256, "20261122T101112.000001-7");
    expect_ok("ok 7 blake3:00ff a/b\n", 7, "blake3", "00ff", "a/b");
    expect_ok("ok 1 x:00 error\n", 1, "x", "00", "error");
    expect_ok("ok 1 0123456789abcdef:00 " HUNDRED HUNDRED TEN TEN TEN TEN TEN "01234\n", 1,
              "0123456789abcdef", "00", HUNDRED HUNDRED TEN TEN TEN TEN TEN "01234");
    expect_error("error sink:ENOSPC 1000\n", 1000, "sink:ENOSPC");
    expect_error("error limit:max-bytes 0\n", 0, "limit:max-bytes");
    expect_error("error stopped 18446744073709551615\n", UINT64_MAX, "stopped");
}

static const char *const others[] = {
    "",
    "\n",
    "ok\n",
    "ok \n",
    "ok 5\n",
    "ok 5 xxh3:" XXH3 "\n",                            /* no ID */
    "ok 5 xxh3:" XXH3 " \n",                           /* an empty one */
    "ok 5 xxh3:" XXH3 " 1",                            /* cut off */
    "ok 5 xxh3:" XXH3 " 1\n\n",                        /* something behind */
    "ok 5 xxh3:" XXH3 " 1 \n",                         /* a blank behind */
    "ok 5 xxh3:" XXH3 " 1\r\n",                        /* not our newline */
    "ok 5 xxh3:" XXH3 " 1 2\n",                        /* two IDs */
    "ok 5  xxh3:" XXH3 " 1\n",                         /* two blanks */
    " ok 5 xxh3:" XXH3 " 1\n",                         /* a blank before */
    "OK 5 xxh3:" XXH3 " 1\n",                          /* capitals */
    "ok\t5 xxh3:" XXH3 " 1\n",                         /* a tab */
    "ok five xxh3:" XXH3 " 1\n",                       /* words */
    "ok 05 xxh3:" XXH3 " 1\n",                         /* a leading zero */
    "ok +5 xxh3:" XXH3 " 1\n",                         /* a sign */
    "ok -5 xxh3:" XXH3 " 1\n",                         /* a sign */
    "ok 0x5 xxh3:" XXH3 " 1\n",                        /* not decimal */
    "ok 5.0 xxh3:" XXH3 " 1\n",                        /* a fraction */
    "ok 18446744073709551616 xxh3:" XXH3 " 1\n",       /* beyond 64 bits */
    "ok 99999999999999999999999999 xxh3:" XXH3 " 1\n", /* far beyond */
    "ok 5 xxh3:9 1\n",                                 /* too short a digest */
    "ok 5 xxh3:" XXH3 "00 1\n",                        /* too long */
    "ok 5 sha256:" XXH3 " 1\n",                        /* of another algorithm */
    "ok 5 xxh3:99AA06D3014798D86001C324468D497F 1\n",  /* capitals */
    "ok 5 xxh3:g9aa06d3014798d86001c324468d497f 1\n",  /* not hexadecimal */
    "ok 5 blake3:123 1\n",                             /* half a byte */
    "ok 5 blake3: 1\n",                                /* no digest */
    "ok 5 :00 1\n",                                    /* no algorithm */
    "ok 5 0123456789abcdefX:00 1\n",                   /* too long an algorithm */
    "ok 5 x:" HUNDRED TEN TEN TEN " 1\n",              /* too long a digest */
    "ok 5 xxh3:" XXH3 " a\033[2Jb\n",                  /* would reach a terminal */
    "ok 5 xxh3:" XXH3 " \xc3\xa4\n",                   /* not ASCII */
    "ok 5 x:00 " HUNDRED HUNDRED HUNDRED "\n",         /* too long an ID */
    "error\n",
    "error sink\n",
    "error 5\n",
    "error  5\n",
    "error sink 5",
    "error sink 5 \n",
    "error sink failed 5\n",
    "error sink\t5\n",
    "error sink 05\n",
    "error sink 18446744073709551616\n",
    "error s\033ink 5\n",
    "errors 5 5\n",
    "hello, world!\n",
    NULL,
};

static void anything_else(void **state)
{
    static const char nul[] = "ok 5 xxh3:" XXH3 " 1\0002\n";
    struct receipt receipt;

    (void)state;
    for (const char *const *other = others; *other; other++) {
        if (read_exactly(&receipt, *other, strlen(*other)) != -EINVAL)
            fail_msg("taken: %s", *other);
    }
    assert_int_equal(-EINVAL, read_exactly(&receipt, nul, sizeof(nul) - 1));
}

/* No part of a receipt is one. */
static void cut_short(void **state)
{
    static const char *const whole[] = {"ok 12345 sha256:" SHA256 " 17\n", "error stopped 10\n"};
    struct receipt receipt;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(whole[i]);

        assert_int_equal(0, read_exactly(&receipt, whole[i], size));
        for (size_t part = 0; part < size; part++)
            assert_int_equal(-EINVAL, read_exactly(&receipt, whole[i], part));
        for (size_t from = 1; from < size; from++)
            assert_int_equal(-EINVAL, read_exactly(&receipt, whole[i] + from, size - from));
    }
}

struct passed {
    char text[4096];
    size_t size;
};

static void pass(void *context, const char *data, size_t size)
{
    struct passed *passed = context;

    assert_true(size > 0 && size <= sizeof(passed->text) - passed->size);
    memcpy(passed->text + passed->size, data, size);
    passed->size += size;
}

/* Whatever the pieces: what is passed and what is kept is the answer; kept is its last line. */
static void expect_kept(const char *answer, const char *kept)
{
    size_t size = strlen(answer);

    for (size_t piece = 1; piece <= size + 1; piece++) {
        struct receipt_line line = {0};
        struct passed passed = {0};

        for (size_t done = 0; done < size; done += piece)
            receipt_line_take(&line, answer + done, size - done < piece ? size - done : piece, pass,
                              &passed);
        receipt_line_take(&line, answer, 0, pass, &passed);
        if (line.size != strlen(kept) || memcmp(line.text, kept, line.size) != 0)
            fail_msg("kept \"%.*s\" of \"%s\"", (int)line.size, line.text, answer);
        assert_int_equal(size, passed.size + line.size);
        assert_memory_equal(answer, passed.text, passed.size);
    }
}

static void last_lines(void **state)
{
    (void)state;
    expect_kept("", "");
    expect_kept("error sink 5\n", "error sink 5\n");
    expect_kept("hello\nerror sink 5\n", "error sink 5\n");
    expect_kept("hello error sink 5\n", "");
    expect_kept("error sink 5\nerror sink 6\n", "error sink 6\n");
    expect_kept("error sink 5\n\n", "");
    expect_kept("error sink 5\nok", "ok");
    expect_kept("error sink 5\nbye", "");
    expect_kept("\n\n\nok 5", "ok 5");
    expect_kept("ok\n", "");
    expect_kept("o", "o");
    expect_kept("oh\n", "");
    expect_kept("ok " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED,
                "ok " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED);
    expect_kept("ok " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN, "");
    expect_kept("ok " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN "\nok 1\n", "ok 1\n");
    expect_kept("ok " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN "ok 1\n", "");
}

/* What can't be a receipt does not wait for its line's end: a question is seen at once. */
static void questions_pass(void **state)
{
    struct receipt_line line = {0};
    struct passed passed = {0};

    (void)state;
    receipt_line_take(&line, "your name? ", 11, pass, &passed);
    assert_int_equal(11, passed.size);
    receipt_line_take(&line, "ok 5\n", 5, pass, &passed);
    assert_int_equal(16, passed.size);
    assert_int_equal(0, line.size);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(receipts),   cmocka_unit_test(anything_else),  cmocka_unit_test(cut_short),
        cmocka_unit_test(last_lines), cmocka_unit_test(questions_pass),
    };

    return cmocka_run_group_tests_name("receipt-line", tests, NULL, NULL);
}
