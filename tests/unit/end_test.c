/* SPDX-License-Identifier: MIT */
/* Ends: which error means which end; and how ends are counted, named and told. */
#include "unit.h"

#include "counters.h"
#include "end.h"
#include "error.h"

#include <errno.h>
#include <string.h>

enum { ERRNO_LAST = 133 }; /* EHWPOISON, the last of errno(3) */

static enum lb_end expected_end(int error)
{
    switch (error) {
    case -ECONNRESET:
    case -EPIPE:
        return LB_END_RESET;
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return LB_END_TIMEOUT;
    default:
        return LB_END_ERROR;
    }
}

static void each_error_has_its_end(void **state)
{
    (void)state;
    for (int error = 1; error <= ERRNO_LAST; error++)
        assert_int_equal(lb_end_of_error(-error), expected_end(-error));
}

/* Only 0 bytes from the kernel mean eof: no error may. */
static void no_error_is_eof(void **state)
{
    (void)state;
    for (int error = -ERRNO_LAST; error <= ERRNO_LAST; error++)
        assert_int_not_equal(lb_end_of_error(error), LB_END_EOF);
}

static void each_end_has_its_name(void **state)
{
    static const char *const names[] = {"eof",  "reset",   "timeout", "limit",
                                        "sink", "stopped", "error"};

    (void)state;
    assert_int_equal(sizeof(names) / sizeof(names[0]), LB_END_COUNT);
    for (int end = 0; end < LB_END_COUNT; end++)
        assert_string_equal(lb_end_name((enum lb_end)end), names[end]);
}

static void name_what_is_no_end(void *argument)
{
    (void)argument;
    lb_end_name(LB_END_COUNT);
}

static void a_wrong_end_is_misuse(void **state)
{
    (void)state;
    SKIP_IF(!has_assertions(), "built without assertions");
    assert_misuse(name_what_is_no_end, NULL);
}

static void counters_add_up(void **state)
{
    struct lb_counters one = {.accepted = 9,
                              .bytes = 100,
                              .waits = 3,
                              .receives = 7,
                              .starved = 1,
                              .refused = 4,
                              .partial = 3};
    struct lb_counters two = {
        .accepted = 2, .bytes = UINT64_C(5) << 32, .waits = 1, .refused = 1, .partial = 2};
    struct lb_stats stats = {0};
    uint64_t sum = 0;

    (void)state;
    for (int end = 0; end < LB_END_COUNT; end++)
        lb_count(&one.ends[end], (uint64_t)end + 1);
    lb_count(&two.ends[LB_END_EOF], 1);
    lb_count(&two.ends[LB_END_SINK], 1);
    lb_counters_add(&stats, &one);
    lb_counters_add(&stats, &two);
    assert_int_equal(stats.accepted, 11);
    assert_int_equal(stats.bytes, (UINT64_C(5) << 32) + 100);
    assert_int_equal(stats.waits, 4);
    assert_int_equal(stats.receives, 7);
    assert_int_equal(stats.starved, 1);
    assert_int_equal(stats.ends[LB_END_EOF], 2);
    assert_int_equal(stats.ends[LB_END_SINK], 6);
    for (int end = 0; end < LB_END_COUNT; end++)
        sum += stats.ends[end];
    assert_int_equal(stats.streams, sum);
    assert_int_equal(stats.refused, 5);
    assert_int_equal(stats.partial, 5);
}

static void an_error_holds_code_and_text(void **state)
{
    struct lb_error error = {0};

    (void)state;
    assert_int_equal(lb_error_set(&error, -EIO, "%s: %d", "disk", 7), -EIO);
    assert_int_equal(error.code, -EIO);
    assert_string_equal(error.text, "disk: 7");
}

static void an_error_may_be_nobodys(void **state)
{
    (void)state;
    assert_int_equal(lb_error_set(NULL, -EINVAL, "%s", "nobody hears"), -EINVAL);
}

static void a_long_text_is_cut(void **state)
{
    struct {
        struct lb_error error;
        char guard;
    } guarded = {.guard = 'g'};
    char text[sizeof(guarded.error.text) * 2];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    lb_error_set(&guarded.error, -EIO, "%s", text);
    assert_int_equal(strlen(guarded.error.text), sizeof(guarded.error.text) - 1);
    assert_int_equal(guarded.guard, 'g');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_end),  cmocka_unit_test(no_error_is_eof),
        cmocka_unit_test(each_end_has_its_name),   cmocka_unit_test(a_wrong_end_is_misuse),
        cmocka_unit_test(counters_add_up),         cmocka_unit_test(an_error_holds_code_and_text),
        cmocka_unit_test(an_error_may_be_nobodys), cmocka_unit_test(a_long_text_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
