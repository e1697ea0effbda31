/* SPDX-License-Identifier: MIT */
/* A struct that has grown twice, between a library and programs of every age. */
#include "unit.h"

#include "sized.h"

#include <errno.h>
#include <string.h>

/* As it is now. It began with a and b, and then got c. */
struct grown {
    size_t size;
    uint64_t a, b;
    uint64_t c;
    uint64_t d;
};

struct older {
    size_t size;
    uint64_t a, b;
    uint64_t c;
};

struct oldest {
    size_t size;
    uint64_t a, b;
};

static const struct lb_layout layout = {
    .name = "struct grown",
    .first = LB_FIRST_LAYOUT(struct grown, b),
    .known = sizeof(struct grown),
};

static struct grown defaults(void)
{
    return (struct grown){.size = sizeof(struct grown), .a = 1, .b = 2, .c = 3, .d = 4};
}

static void what_an_older_program_has_not_keeps_its_default(void **state)
{
    struct older older = {.size = sizeof(older), .a = 11, .b = 12, .c = 13};
    struct oldest oldest = {.size = sizeof(oldest), .a = 11};
    struct grown ours = defaults();

    (void)state;
    assert_int_equal(lb_sized_take(&layout, &ours, &older, NULL), 0);
    assert_int_equal(ours.size, sizeof(ours));
    assert_int_equal(ours.a + ours.b + ours.c, 11 + 12 + 13);
    assert_int_equal(ours.d, 4);
    ours = defaults();
    assert_int_equal(lb_sized_take(&layout, &ours, &oldest, NULL), 0);
    assert_int_equal(ours.size, sizeof(ours));
    assert_int_equal(ours.a, 11);
    assert_int_equal(ours.b, 0);
    assert_int_equal(ours.c + ours.d, 3 + 4);
}

static void an_older_program_gets_what_it_has_room_for(void **state)
{
    struct {
        struct oldest theirs;
        uint64_t behind;
    } program = {{.size = sizeof(program.theirs)}, 77};
    const struct grown ours = defaults();

    (void)state;
    assert_int_equal(lb_sized_give(&layout, &program.theirs, &ours), 0);
    assert_int_equal(program.theirs.size, sizeof(program.theirs));
    assert_int_equal(program.theirs.b, 2);
    assert_int_equal(program.behind, 77);
}

static void a_size_that_nobody_set_is_refused(void **state)
{
    const size_t sizes[] = {0, 1, sizeof(size_t), sizeof(struct oldest) - 1};
    struct grown theirs = {.a = 11}, ours = defaults();
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        theirs.size = sizes[i];
        assert_int_equal(lb_sized_take(&layout, &ours, &theirs, &error), -EINVAL);
        assert_non_null(strstr(error.text, "struct grown.size"));
        assert_int_equal(lb_sized_give(&layout, &theirs, &ours), -EINVAL);
    }
    assert_int_equal(ours.a, 1);
    assert_int_equal(theirs.a, 11);
    assert_int_equal(lb_sized_take(&layout, &ours, NULL, &error), -EINVAL);
    assert_int_equal(lb_sized_give(&layout, NULL, &ours), -EINVAL);
}

static void news_that_nobody_uses_are_no_matter(void **state)
{
    struct {
        struct grown known;
        uint8_t news[5];
    } theirs = {.known = defaults()};
    struct grown ours = defaults();
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    theirs.known.size = sizeof(theirs);
    theirs.known.d = 14;
    assert_int_equal(lb_sized_take(&layout, &ours, &theirs, &error), 0);
    assert_int_equal(ours.d, 14);
    theirs.news[4] = 1;
    assert_int_equal(lb_sized_take(&layout, &ours, &theirs, &error), -E2BIG);
    assert_non_null(strstr(error.text, "newer liblastbyte"));
    theirs.known.size = LB_SIZED_MAX + 1;
    assert_int_equal(lb_sized_take(&layout, &ours, &theirs, &error), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_older_program_has_not_keeps_its_default),
        cmocka_unit_test(an_older_program_gets_what_it_has_room_for),
        cmocka_unit_test(a_size_that_nobody_set_is_refused),
        cmocka_unit_test(news_that_nobody_uses_are_no_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
