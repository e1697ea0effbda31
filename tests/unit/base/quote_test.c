/* SPDX-License-Identifier: MIT */
/* Quoting: what a terminal is never sent. */
#include "unit.h"

#include "quote.h"

#include <string.h>

/* In pieces of every size: the result is the same. */
static void expect(bool lines, const char *text, const char *wanted)
{
    size_t size = strlen(text);

    for (size_t step = 1; step <= size; step++) {
        struct lb_quoter quoter = {.lines = lines};
        char out[LB_QUOTE_ROOM(64)];
        size_t used = 0;

        for (size_t at = 0; at < size; at += step)
            used +=
                lb_quoter_take(&quoter, text + at, size - at < step ? size - at : step, out + used);
        used += lb_quoter_finish(&quoter, out + used);
        out[used] = '\0';
        assert_string_equal(out, wanted);
    }
}

static void what_is_text_stays(void **state)
{
    (void)state;
    expect(false, "plain 'text' with \\ and ~", "plain 'text' with \\ and ~");
    expect(false, "Grüße, 世界, 🙂, \xc2\xa0", "Grüße, 世界, 🙂, \xc2\xa0");
    expect(true, "two\nlines\tand more\n", "two\nlines\tand more\n");
}

static void what_a_terminal_obeys_is_shown(void **state)
{
    (void)state;
    expect(false, "\033]0;owned\a", "\\x1b]0;owned\\x07");
    expect(true, "\033[2J\r", "\\x1b[2J\\r");
    expect(false, "two\nlines\t", "two\\nlines\\t");
    expect(false, "\x7f\x01", "\\x7f\\x01");
    /* The control characters above ASCII: alone, and as UTF-8. */
    expect(false,
           "\x9b"
           "1m",
           "\\x9b1m");
    expect(false,
           "\xc2\x9b"
           "1m",
           "\\xc2\\x9b1m");
    expect(true, "\xc2\x85", "\\xc2\\x85");
}

static void what_is_no_utf8_is_shown(void **state)
{
    (void)state;
    expect(false, "\xff\xfe", "\\xff\\xfe");
    expect(false, "\xc3", "\\xc3");
    expect(false, "\xe4\xb8", "\\xe4\\xb8");
    expect(false, "\xe4\xb8x", "\\xe4\\xb8x");
    expect(false, "\xe4\xb8\xc3\xbc", "\\xe4\\xb8\xc3\xbc");
    /* An escape character, written longer than it may be; a surrogate; beyond the last. */
    expect(false, "\xc0\x9b", "\\xc0\\x9b");
    expect(false, "\xe0\x80\x9b", "\\xe0\\x80\\x9b");
    expect(false, "\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b");
    expect(false, "\xed\xa0\x80", "\\xed\\xa0\\x80");
    expect(false, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
}

static void what_turns_a_line_is_shown(void **state)
{
    (void)state;
    expect(false, "gpj.\u202eexe", "gpj.\\xe2\\x80\\xaeexe");
    expect(false, "\u2066", "\\xe2\\x81\\xa6");
    expect(true, "\u2028", "\\xe2\\x80\\xa8");
}

static void expect_name(const char *name, const char *wanted)
{
    char text[LB_QUOTE_SIZE] = "";

    assert_string_equal(lb_quote_name(name, text), wanted);
}

static void names(void **state)
{
    char name[3 * LB_QUOTE_SIZE], text[LB_QUOTE_SIZE] = "";

    (void)state;
    expect_name("file", "'file'");
    expect_name("", "''");
    expect_name("it's", "'it\\'s'");
    expect_name("\\x1b", "'\\\\x1b'");
    expect_name("a\nb\xff", "'a\\nb\\xff'");
    expect_name("\xe4\xb8", "'\\xe4\\xb8'");
    for (size_t size = LB_QUOTE_SIZE / 4 - 20; size < sizeof(name); size++) {
        for (const char *of = "x\033\xf0"; *of; of++) {
            memset(name, *of, size);
            name[size] = '\0';
            assert_ptr_equal(lb_quote_name(name, text), text);
            assert_int_equal(text[strlen(text) - 1], '\'');
            assert_true(strlen(text) < LB_QUOTE_SIZE);
        }
    }
    assert_non_null(strstr(text, "...'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_text_stays),
        cmocka_unit_test(what_a_terminal_obeys_is_shown),
        cmocka_unit_test(what_is_no_utf8_is_shown),
        cmocka_unit_test(what_turns_a_line_is_shown),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
