/* SPDX-License-Identifier: MIT */
/* Notes: who is told what, one at a time, and how what strangers cause is kept short. */
#include "unit.h"

#include "notes.h"

#include <string.h>

#define S UINT64_C(1000000000)

struct told {
    unsigned count;
    enum lb_note_level level;
    char text[700];
};

static void tell(void *context, enum lb_note_level level, const char *text)
{
    struct told *told = context;

    told->count++;
    told->level = level;
    strcpy(told->text, text);
}

static void the_least_level_is_told(void **state)
{
    struct told told = {0};
    struct lb_notes notes;

    (void)state;
    lb_notes_init(&notes);
    lb_note(&notes, LB_NOTE_WARNING, "nobody listens");
    notes.tell = tell;
    notes.context = &told;
    lb_note(&notes, LB_NOTE_DETAIL, "too little");
    assert_int_equal(told.count, 0);
    assert_false(lb_notes_wants(&notes, LB_NOTE_DETAIL));
    lb_note(&notes, LB_NOTE_WARNING, "%d streams", 7);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.level, LB_NOTE_WARNING);
    assert_string_equal(told.text, "7 streams");
    lb_notes_done(&notes);
}

static void a_long_note_is_cut(void **state)
{
    struct told told = {0};
    struct lb_notes notes;

    (void)state;
    lb_notes_init(&notes);
    notes.tell = tell;
    notes.context = &told;
    lb_note(&notes, LB_NOTE_WARNING, "%0800d", 0);
    assert_int_equal(strlen(told.text), 599);
    lb_notes_done(&notes);
}

static void one_line_a_second(void **state)
{
    struct lb_hush hush = {0};
    uint64_t untold = 77;

    (void)state;
    assert_true(lb_hush_tells(&hush, 5 * S, S, 1, &untold));
    assert_int_equal(untold, 0);
    for (unsigned i = 0; i < 999; i++)
        assert_false(lb_hush_tells(&hush, 5 * S + i, S, 1, &untold));
    assert_true(lb_hush_tells(&hush, 6 * S, S, 1, &untold));
    assert_int_equal(untold, 999);
    assert_true(lb_hush_tells(&hush, 9 * S, S, 1, &untold));
    assert_int_equal(untold, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_level_is_told),
        cmocka_unit_test(a_long_note_is_cut),
        cmocka_unit_test(one_line_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
