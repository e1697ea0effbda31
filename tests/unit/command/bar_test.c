/* SPDX-License-Identifier: MIT */
/* Unit tests of bar.c in tools/command: what a person sees of how far it is. */
#include "tools/command/bar.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ULL << 20)

static const struct bar half = {"backup.tar", 50 * MIB, 100 * MIB, true, 10.0 * MIB};

static const char *drawn(const struct bar *bar, unsigned columns)
{
    static char text[BAR_SIZE];

    bar_draw(bar, columns, false, text);
    return text;
}

static void a_wide_terminal_has_all(void **state)
{
    (void)state;
    assert_string_equal(drawn(&half, 200), "backup.tar  [##############--------------] 50 %, 50.0 "
                                           "MiB of 100 MiB, 10.0 MiB/s, 0:05 left");
}

static void what_finds_no_room_is_left_out(void **state)
{
    (void)state;
    assert_string_equal(
        drawn(&half, 80),
        "backup.tar  [########---------] 50 %, 50.0 MiB of 100 MiB, 10.0 MiB/s, 0:05 left");
    assert_string_equal(drawn(&half, 64),
                        "backup.tar  50 %, 50.0 MiB of 100 MiB, 10.0 MiB/s, 0:05 left");
    assert_string_equal(drawn(&half, 52), "backup.tar  50 %, 50.0 MiB of 100 MiB, 10.0 MiB/s");
    assert_string_equal(drawn(&half, 17), "backup.\xe2\x80\xa6  50 %");
}

/* Whatever the width, no line is wider, and none ends inside a character. */
static void no_line_is_too_wide(void **state)
{
    struct bar bar = half;

    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    bar.name = "\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac.tar";
    for (unsigned columns = 1; columns < 300; columns++) {
        const char *text = drawn(&bar, columns);
        unsigned count = 0;

        for (const char *next = text; *next; next++)
            count += ((unsigned char)*next & 0xc0) != 0x80;
        if (count > columns)
            fail_msg("%u columns: \"%s\" has %u", columns, text, count);
        assert_int_not_equal(mbstowcs(NULL, text, 0), (size_t)-1);
    }
}

static void without_a_size_there_is_no_bar(void **state)
{
    struct bar bar = {"standard input", 3 * MIB, 0, false, 1.5 * MIB};

    (void)state;
    assert_string_equal(drawn(&bar, 80), "standard input  3.00 MiB, 1.50 MiB/s");
}

static void it_is_done_when_it_is_done(void **state)
{
    struct bar bar = half;
    char text[BAR_SIZE];

    (void)state;
    bar.done = bar.size - 1;
    bar_figures(&bar, 100, text);
    assert_non_null(strstr(text, "99 %"));
    bar.done = bar.size;
    bar_figures(&bar, 100, text);
    assert_string_equal(text, "100 %, 100 MiB of 100 MiB, 10.0 MiB/s");
    bar.done = bar.size + 1; /* more has come than was said */
    bar_figures(&bar, 100, text);
    assert_non_null(strstr(text, "100 %"));
    bar.done = bar.size = 0;
    bar_figures(&bar, 100, text);
    assert_non_null(strstr(text, "100 %"));
}

static void colour_takes_no_room(void **state)
{
    char text[BAR_SIZE];

    (void)state;
    bar_draw(&half, 80, true, text);
    assert_non_null(strstr(text, "[\033[32m########\033[0m---------]"));
}

static void times(void **state)
{
    char text[BAR_TIME_SIZE];

    (void)state;
    assert_string_equal(bar_time_text(0, text), "0:00");
    assert_string_equal(bar_time_text(59.6, text), "1:00");
    assert_string_equal(bar_time_text(754, text), "12:34");
    assert_string_equal(bar_time_text(11045, text), "3:04:05");
    assert_string_equal(bar_time_text(-1, text), "-:--");
    assert_string_equal(bar_time_text(1e30, text), "-:--");
    assert_string_equal(bar_time_text((double)NAN, text), "-:--");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_terminal_has_all),
        cmocka_unit_test(what_finds_no_room_is_left_out),
        cmocka_unit_test(no_line_is_too_wide),
        cmocka_unit_test(without_a_size_there_is_no_bar),
        cmocka_unit_test(it_is_done_when_it_is_done),
        cmocka_unit_test(colour_takes_no_room),
        cmocka_unit_test(times),
    };

    return cmocka_run_group_tests_name("bar", tests, NULL, NULL);
}
