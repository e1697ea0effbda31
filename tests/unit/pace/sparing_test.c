/* SPDX-License-Identifier: MIT */
/* ACKs are spared only while it costs the peers nothing. */
#include "unit.h"

#include "sparing.h"
#include "support.h"

enum { WINDOW_NS = 3000000, RATE = 100000 /* bytes a window */, LONG = 20000 };

static uint64_t dice;

/* Of so many windows, the share that spared, where that costs so much of a rate as noisy as that.
 */
static double share(struct lb_sparing *sparing, unsigned windows, double cost, double noise)
{
    unsigned spared = 0;

    for (unsigned i = 0; i < windows; i++) {
        double rate = RATE * (sparing->spares ? 1 - cost : 1);

        rate *= 1 + noise * ((double)random_between(&dice, 0, 2000) / 1000 - 1);
        spared += lb_sparing_decide(sparing, (uint64_t)rate, WINDOW_NS);
    }
    return (double)spared / windows;
}

static int begin(void **state)
{
    static struct lb_sparing sparing;

    lb_sparing_init(&sparing);
    dice = 1;
    *state = &sparing;
    return 0;
}

static void spares_where_it_costs_nothing(void **state)
{
    assert_true(share(*state, LONG, 0, 0) > 0.95);
}

static void bears_a_little_and_noise(void **state)
{
    assert_true(share(*state, LONG, 0.02, 0) > 0.95);
    begin(state);
    assert_true(share(*state, LONG, 0, 0.1) > 0.7);
}

static void sends_all_where_it_costs_throughput(void **state)
{
    assert_true(share(*state, LONG, 0.1, 0) < 0.05);
    begin(state);
    assert_true(share(*state, LONG, 0.12, 0.1) < 0.05);
}

/* It is found soon: after three short stretches between four such. */
static void finds_it_soon(void **state)
{
    struct lb_sparing *sparing = *state;

    share(sparing, 6 * 20, 0.1, 0);
    assert_true(sparing->hold.left > 0);
}

/* The paths of peers change: it tries again, more and more rarely. */
static void tries_again(void **state)
{
    struct lb_sparing *sparing = *state;
    unsigned hold;

    share(sparing, 200, 0.1, 0);
    hold = sparing->hold.left;
    assert_true(hold > 0);
    share(sparing, hold + 200, 0.1, 0);
    assert_true(sparing->hold.left > hold);
    share(sparing, sparing->hold.left, 0, 0);
    assert_true(share(sparing, LONG, 0, 0) > 0.95);
}

static void forgets_another_load(void **state)
{
    struct lb_sparing *sparing = *state;

    share(sparing, 25, 0, 0);
    assert_true(sparing->spares);
    lb_sparing_forget(sparing);
    assert_false(sparing->spares);
    assert_int_equal(0, share(sparing, 10, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(spares_where_it_costs_nothing, begin),
        cmocka_unit_test_setup(bears_a_little_and_noise, begin),
        cmocka_unit_test_setup(sends_all_where_it_costs_throughput, begin),
        cmocka_unit_test_setup(finds_it_soon, begin),
        cmocka_unit_test_setup(tries_again, begin),
        cmocka_unit_test_setup(forgets_another_load, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
