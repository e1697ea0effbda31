/* SPDX-License-Identifier: MIT */
/* Alarms: the earliest first, whatever was set, moved and unset meanwhile. */
#include "unit.h"

#include "alarms.h"
#include "support.h"

#include <stdlib.h>

enum { ALARMS = 300, STEPS = 20000 };

static void nothing_is_due(void **state)
{
    struct lb_alarms alarms = {0};

    (void)state;
    assert_true(lb_alarms_next_ns(&alarms) == LB_NEVER);
    assert_null(lb_alarms_take_due(&alarms, UINT64_MAX));
}

static void the_earliest_is_first(void **state)
{
    struct lb_alarm a = {0}, b = {0}, c = {0};
    struct lb_alarms alarms = {0};

    (void)state;
    lb_alarm_set(&alarms, &a, 30);
    lb_alarm_set(&alarms, &b, 10);
    lb_alarm_set(&alarms, &c, 20);
    assert_int_equal(lb_alarms_next_ns(&alarms), 10);
    assert_null(lb_alarms_take_due(&alarms, 9));
    assert_ptr_equal(lb_alarms_take_due(&alarms, 25), &b);
    assert_int_equal(b.when_ns, 0);
    assert_ptr_equal(lb_alarms_take_due(&alarms, 25), &c);
    assert_null(lb_alarms_take_due(&alarms, 25));
    assert_ptr_equal(lb_alarms_take_due(&alarms, 30), &a);
    assert_true(lb_alarms_next_ns(&alarms) == LB_NEVER);
}

static void it_is_moved_and_unset(void **state)
{
    struct lb_alarm a = {0}, b = {0};
    struct lb_alarms alarms = {0};

    (void)state;
    lb_alarm_set(&alarms, &a, 10);
    lb_alarm_set(&alarms, &b, 20);
    lb_alarm_set(&alarms, &a, 30);
    assert_int_equal(lb_alarms_next_ns(&alarms), 20);
    lb_alarm_set(&alarms, &b, LB_NEVER);
    lb_alarm_set(&alarms, &b, LB_NEVER);
    assert_int_equal(lb_alarms_next_ns(&alarms), 30);
    lb_alarm_set(&alarms, &a, 5);
    assert_ptr_equal(lb_alarms_take_due(&alarms, 5), &a);
    assert_null(alarms.root);
}

static uint64_t find_earliest(const struct lb_alarm *all)
{
    uint64_t earliest = LB_NEVER;

    for (unsigned i = 0; i < ALARMS; i++)
        if (all[i].when_ns)
            earliest = lb_earlier(earliest, all[i].when_ns);
    return earliest;
}

/* Against the plainest of all ways: looking at each. */
static void random_steps(void **state)
{
    struct lb_alarm *all = calloc(ALARMS, sizeof(*all)), *due;
    struct lb_alarms alarms = {0};
    uint64_t random = 7;

    (void)state;
    assert_non_null(all);
    for (unsigned step = 0; step < scale_count(STEPS, STEPS / 10); step++) {
        struct lb_alarm *alarm = &all[random_between(&random, 0, ALARMS - 1)];
        uint64_t earliest;

        if (random_between(&random, 0, 3) == 0)
            lb_alarm_set(&alarms, alarm, LB_NEVER);
        else
            lb_alarm_set(&alarms, alarm, random_between(&random, 1, 1000));
        earliest = find_earliest(all);
        assert_true(lb_alarms_next_ns(&alarms) == earliest);
        if (random_between(&random, 0, 2) > 0 || earliest == LB_NEVER)
            continue;
        assert_null(lb_alarms_take_due(&alarms, earliest - 1));
        due = lb_alarms_take_due(&alarms, earliest);
        assert_non_null(due);
        assert_true(due >= all && due < all + ALARMS && due->when_ns == 0);
    }
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_due),
        cmocka_unit_test(the_earliest_is_first),
        cmocka_unit_test(it_is_moved_and_unset),
        cmocka_unit_test(random_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
