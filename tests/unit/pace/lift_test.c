/* SPDX-License-Identifier: MIT */
/* Whether gathering lifts throughput is tried rarely, and found where it does. */
#include "unit.h"

#include "lift.h"

enum { WINDOW_NS = 2000000, RATE = 100000 /* bytes a window */ };

/* Of so many windows, how many were tried, until it is found that gathering brings so much. */
static unsigned tries(struct lb_lift *lift, unsigned windows, double gain, bool *found)
{
    unsigned tried = 0;

    *found = false;
    for (unsigned i = 0; i < windows && !*found; i++) {
        const double rate = lift->trying ? RATE * gain : RATE;

        if (lift->trying) {
            tried++;
            *found = lb_lift_judge(lift, (uint64_t)rate, WINDOW_NS) == LB_LIFT_FOUND;
        } else {
            lb_lift_try(lift, (uint64_t)rate, WINDOW_NS);
        }
    }
    return tried;
}

static int begin(void **state)
{
    static struct lb_lift lift;

    lb_lift_init(&lift);
    *state = &lift;
    return 0;
}

static void finds_a_gain_at_once(void **state)
{
    bool found;

    assert_in_range(tries(*state, 100, 1.5, &found), 1, 3);
    assert_true(found);
}

static void takes_a_little_more_for_noise(void **state)
{
    bool found;

    tries(*state, 10000, 1.25, &found);
    assert_false(found);
}

/* Less than one window of five hundred, and more and more rarely. */
static void tries_rarely(void **state)
{
    bool found;
    unsigned first = tries(*state, 5000, 1, &found), later = tries(*state, 50000, 1, &found);

    assert_in_range(first, 1, 9);
    assert_true(later < 3 * first);
}

/* The window in which gathering begins has what came before it. */
static void leaves_its_first_window_out(void **state)
{
    struct lb_lift *lift = *state;

    while (!lb_lift_try(lift, RATE, WINDOW_NS)) {
    }
    assert_int_equal(lb_lift_judge(lift, 10 * RATE, WINDOW_NS), LB_LIFT_TRYING);
    assert_int_equal(lb_lift_judge(lift, RATE, WINDOW_NS), LB_LIFT_VAIN);
    assert_false(lift->trying);
}

static void forgets_a_try(void **state)
{
    struct lb_lift *lift = *state;

    while (!lb_lift_try(lift, RATE, WINDOW_NS)) {
    }
    lb_lift_forget(lift);
    assert_false(lift->trying);
    assert_int_equal(lift->plain.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(finds_a_gain_at_once, begin),
        cmocka_unit_test_setup(takes_a_little_more_for_noise, begin),
        cmocka_unit_test_setup(tries_rarely, begin),
        cmocka_unit_test_setup(leaves_its_first_window_out, begin),
        cmocka_unit_test_setup(forgets_a_try, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
