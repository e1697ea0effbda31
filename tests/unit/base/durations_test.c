/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "durations.h"

#include <pthread.h>

static struct lb_timing told(const struct lb_durations *durations)
{
    struct lb_timing timing = {LB_TIMING_INIT};

    lb_durations_tell(durations, &timing);
    return timing;
}

static void begins_with_nothing(void **state)
{
    struct lb_durations durations = {0};
    struct lb_timing timing = told(&durations);

    (void)state;
    assert_true(timing.limit_count > 0 && timing.limit_count < LB_TIMING_MAX);
    for (size_t i = 1; i < timing.limit_count; i++)
        assert_true(timing.limits[i] > timing.limits[i - 1]);
    for (size_t i = 0; i <= timing.limit_count; i++)
        assert_int_equal(timing.counts[i], 0);
    assert_true(timing.sum_seconds == 0);
}

/* A limit is the last duration that counts within it. */
static void each_counts_within_its_limit(void **state)
{
    struct lb_durations durations = {0};
    struct lb_timing timing = told(&durations);
    size_t last = timing.limit_count;

    (void)state;
    for (size_t i = 0; i < last; i++) {
        uint64_t limit_ns = (uint64_t)(timing.limits[i] * 1e9 + 0.5);

        lb_durations_add(&durations, limit_ns);
        lb_durations_add(&durations, limit_ns + 1);
    }
    timing = told(&durations);
    assert_int_equal(timing.counts[0], 1);
    for (size_t i = 1; i < last; i++)
        assert_int_equal(timing.counts[i], 2);
    assert_int_equal(timing.counts[last], 1);
}

static void the_sum_is_of_all(void **state)
{
    struct lb_durations durations = {0}, others = {0};
    struct lb_timing timing;

    (void)state;
    lb_durations_add(&durations, 0);
    lb_durations_add(&durations, UINT64_C(1500000000));
    lb_durations_add(&others, UINT64_C(3600000000000));
    timing = told(&durations);
    lb_durations_tell(&others, &timing);
    assert_int_equal(timing.counts[0], 1);
    assert_int_equal(timing.counts[timing.limit_count], 1);
    assert_true(timing.sum_seconds > 3601.49 && timing.sum_seconds < 3601.51);
}

enum { EACH = 20000, THREADS = 4 };

static void *add_many(void *durations)
{
    for (int i = 0; i < EACH; i++)
        lb_durations_add(durations, 1000);
    return NULL;
}

static void none_is_lost_between_threads(void **state)
{
    struct lb_durations durations = {0};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, &durations), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(told(&durations).counts[0], EACH * THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_nothing),
        cmocka_unit_test(each_counts_within_its_limit),
        cmocka_unit_test(the_sum_is_of_all),
        cmocka_unit_test(none_is_lost_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
