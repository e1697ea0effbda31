/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "guard.h"

static const double KEPT = 0.97;

enum { PLAIN = 8, GATHERED = 100, WINDOW_NS = 2000000 };

static void see(struct lb_guard *guard, bool gathering, unsigned windows, uint64_t bytes)
{
    while (windows-- > 0)
        lb_guard_saw(guard, gathering, bytes, WINDOW_NS);
}

/* A stretch with so many bytes in each of its windows, and in each plain one after it. */
static enum lb_guard_finding stretch(struct lb_guard *guard, uint64_t bytes, uint64_t after)
{
    see(guard, true, GATHERED, bytes);
    see(guard, false, PLAIN, after);
    return lb_guard_judge(guard, KEPT);
}

static void finds_nothing_before_there_was_a_stretch(void **state)
{
    struct lb_guard guard = {0};

    (void)state;
    assert_int_equal(lb_guard_judge(&guard, KEPT), LB_GUARD_UNSEEN);
    see(&guard, false, PLAIN, 1000);
    assert_int_equal(lb_guard_judge(&guard, KEPT), LB_GUARD_UNSEEN);
    see(&guard, true, GATHERED, 10);
    assert_int_equal(lb_guard_judge(&guard, KEPT), LB_GUARD_UNSEEN);
}

static void finds_losses_in_three_stretches(void **state)
{
    struct lb_guard guard = {0};

    (void)state;
    see(&guard, false, PLAIN, 1000);
    assert_int_equal(stretch(&guard, 960, 1000), LB_GUARD_DOUBT);
    assert_int_equal(stretch(&guard, 960, 1000), LB_GUARD_DOUBT);
    assert_int_equal(stretch(&guard, 960, 1000), LB_GUARD_LOSSES);
    assert_int_equal(stretch(&guard, 960, 1000), LB_GUARD_DOUBT);
    assert_int_equal(stretch(&guard, 1000, 1000), LB_GUARD_WELL);
    assert_int_equal(stretch(&guard, 960, 1000), LB_GUARD_DOUBT);
}

static void allows_a_little(void **state)
{
    struct lb_guard guard = {0};

    (void)state;
    see(&guard, false, PLAIN, 1000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(stretch(&guard, 971, 1000), LB_GUARD_WELL);
}

/* A load that grows or shrinks by itself is more on one side of the stretch. */
static void takes_no_slope_for_a_loss(void **state)
{
    struct lb_guard guard = {0};

    (void)state;
    see(&guard, false, PLAIN, 10000);
    for (uint64_t bytes = 9000; bytes > 1000; bytes = bytes * 9 / 10)
        assert_int_equal(stretch(&guard, bytes, bytes * 9 / 10), LB_GUARD_WELL);
    for (uint64_t bytes = 1000; bytes < 9000; bytes = bytes * 10 / 9)
        assert_int_equal(stretch(&guard, bytes, bytes * 10 / 9), LB_GUARD_WELL);
}

/* After a stretch, more than a window's own comes in the first plain one. */
static void leaves_out_what_had_waited(void **state)
{
    struct lb_guard guard = {0};

    (void)state;
    see(&guard, false, PLAIN, 1000);
    for (int i = 0; i < 10; i++) {
        see(&guard, true, GATHERED, 1000);
        see(&guard, false, PLAIN / 2, 1200);
        see(&guard, false, PLAIN / 2, 1000);
        assert_int_equal(lb_guard_judge(&guard, KEPT), LB_GUARD_WELL);
    }
}

static void forgets(void **state)
{
    struct lb_guard guard = {0};

    (void)state;
    see(&guard, false, PLAIN, 1000);
    assert_int_equal(stretch(&guard, 900, 1000), LB_GUARD_DOUBT);
    lb_guard_forget(&guard);
    see(&guard, false, PLAIN, 1000);
    assert_int_equal(stretch(&guard, 900, 1000), LB_GUARD_DOUBT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nothing_before_there_was_a_stretch),
        cmocka_unit_test(finds_losses_in_three_stretches),
        cmocka_unit_test(allows_a_little),
        cmocka_unit_test(takes_no_slope_for_a_loss),
        cmocka_unit_test(leaves_out_what_had_waited),
        cmocka_unit_test(forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
