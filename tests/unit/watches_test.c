/* SPDX-License-Identifier: MIT */
/* Watches: one per descriptor, and the withdrawn ones live on until their last completion. */
#include "unit.h"

#include "watches.h"

enum { FDS = 500 };

static int setup(void **state)
{
    static struct lb_watches watches;

    watches = (struct lb_watches){0};
    *state = &watches;
    return 0;
}

static int teardown(void **state)
{
    lb_watches_done(*state);
    return 0;
}

static unsigned count_all(const struct lb_watches *watches)
{
    const struct lb_watch *previous = NULL;
    unsigned count = 0;

    for (const struct lb_watch *watch = watches->all; watch; watch = watch->next) {
        assert_ptr_equal(watch->previous, previous);
        previous = watch;
        count++;
    }
    return count;
}

static void finds_what_was_added(void **state)
{
    struct lb_watches *watches = *state;
    int cookies[FDS];

    assert_null(lb_watches_find(watches, 0));
    /* Downwards, so that the table grows at once; every second one. */
    for (int fd = FDS - 2; fd >= 0; fd -= 2) {
        struct lb_watch *watch = lb_watches_add(watches, fd, 0, &cookies[fd]);

        assert_non_null(watch);
        assert_int_equal((uintptr_t)watch % 16, 0);
        assert_false(watch->withdrawn);
    }
    for (int fd = 0; fd < FDS; fd++) {
        const struct lb_watch *watch = lb_watches_find(watches, fd);

        if (fd % 2) {
            assert_null(watch);
        } else {
            assert_int_equal(watch->fd, fd);
            assert_ptr_equal(watch->cookie, &cookies[fd]);
        }
    }
    assert_null(lb_watches_find(watches, 1 << 20));
    assert_int_equal(count_all(watches), FDS / 2);
}

static void grows_upwards(void **state)
{
    struct lb_watches *watches = *state;

    for (int fd = 0; fd < FDS; fd++)
        assert_non_null(lb_watches_add(watches, fd, 0, NULL));
    for (int fd = 0; fd < FDS; fd++)
        assert_int_equal(lb_watches_find(watches, fd)->fd, fd);
}

static void no_descriptor_has_no_watch(void **state)
{
    assert_null(lb_watches_find(*state, -1));
    assert_non_null(lb_watches_add(*state, 0, 0, NULL));
    assert_null(lb_watches_find(*state, -1));
    assert_null(lb_watches_find(*state, -1000000));
}

static void a_withdrawn_watch_makes_place_and_lives_on(void **state)
{
    struct lb_watches *watches = *state;
    int old_cookie, new_cookie;
    struct lb_watch *old = lb_watches_add(watches, 7, 0, &old_cookie);
    struct lb_watch *new;

    lb_watches_withdraw(watches, old);
    assert_null(lb_watches_find(watches, 7));
    assert_true(old->withdrawn);
    new = lb_watches_add(watches, 7, 0, &new_cookie);
    assert_ptr_not_equal(new, old);
    /* The old one's completion comes now, and must not take the new one with it. */
    assert_ptr_equal(old->cookie, &old_cookie);
    lb_watches_remove(watches, old);
    assert_ptr_equal(lb_watches_find(watches, 7), new);
    lb_watches_remove(watches, new);
    assert_null(lb_watches_find(watches, 7));
    assert_null(watches->all);
}

static void removes_from_everywhere_in_the_list(void **state)
{
    struct lb_watches *watches = *state;
    struct lb_watch *made[4];

    for (int fd = 0; fd < 4; fd++)
        made[fd] = lb_watches_add(watches, fd, 0, NULL);
    lb_watches_remove(watches, made[1]); /* in the middle */
    assert_int_equal(count_all(watches), 3);
    lb_watches_remove(watches, made[3]); /* the head */
    assert_int_equal(count_all(watches), 2);
    lb_watches_remove(watches, made[0]); /* the tail */
    assert_int_equal(count_all(watches), 1);
    assert_ptr_equal(watches->all, made[2]);
}

static void done_frees_also_the_withdrawn(void **state)
{
    struct lb_watches *watches = *state;

    lb_watches_add(watches, 1, 0, NULL);
    lb_watches_withdraw(watches, lb_watches_add(watches, 2, 0, NULL));
    lb_watches_done(watches);
    assert_null(watches->all);
    assert_null(lb_watches_find(watches, 1));
    /* It may be used again. */
    assert_non_null(lb_watches_add(watches, 1, 0, NULL));
}

static void add_twice(void *argument)
{
    lb_watches_add(argument, 3, 0, NULL);
    lb_watches_add(argument, 3, 0, NULL);
}

static void add_no_descriptor(void *argument)
{
    lb_watches_add(argument, -1, 0, NULL);
}

static void withdraw_twice(void *argument)
{
    struct lb_watch *watch = lb_watches_add(argument, 3, 0, NULL);

    lb_watches_withdraw(argument, watch);
    lb_watches_withdraw(argument, watch);
}

static void asserts_on_misuse(void **state)
{
    SKIP_IF(!has_assertions(), "built without assertions");
    assert_misuse(add_twice, *state);
    assert_misuse(add_no_descriptor, *state);
    assert_misuse(withdraw_twice, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_what_was_added, setup, teardown),
        cmocka_unit_test_setup_teardown(grows_upwards, setup, teardown),
        cmocka_unit_test_setup_teardown(no_descriptor_has_no_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_withdrawn_watch_makes_place_and_lives_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(removes_from_everywhere_in_the_list, setup, teardown),
        cmocka_unit_test_setup_teardown(done_frees_also_the_withdrawn, setup, teardown),
        cmocka_unit_test_setup_teardown(asserts_on_misuse, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
