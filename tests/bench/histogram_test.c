/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct histogram histogram;

static int clear(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof(histogram));
    return 0;
}

static uint64_t at(double percent)
{
    return histogram_percentile(&histogram, percent);
}

static void nothing(void **state)
{
    (void)state;
    assert_int_equal(at(50), 0);
    assert_int_equal(at(100), 0);
    assert_true(histogram_mean(&histogram) == 0);
}

static void one_value(void **state)
{
    (void)state;
    histogram_add(&histogram, 123456789);
    assert_int_equal(at(0), 123456789);
    assert_int_equal(at(50), 123456789);
    assert_int_equal(at(100), 123456789);
    assert_true(histogram_mean(&histogram) == 123456789);
}

/* Below 256 every value has a bucket of its own. */
static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 200; value++)
        histogram_add(&histogram, value);
    assert_int_equal(at(0), 1);
    assert_int_equal(at(0.5), 1);
    assert_int_equal(at(0.6), 2);
    assert_int_equal(at(50), 100);
    assert_int_equal(at(99), 198);
    assert_int_equal(at(99.9), 200);
    assert_int_equal(at(100), 200);
    assert_true(histogram_mean(&histogram) == 100.5);
}

/* 1..1,000,000 in a strange order: every percentile is known, and none is told too small. */
static void percentiles_of_a_known_set(void **state)
{
    static const double percents[] = {1, 10, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100};

    (void)state;
    for (uint64_t i = 0; i < 1000000; i++)
        histogram_add(&histogram, i * 7919 % 1000000 + 1);
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        double exact = percents[i] * 10000, told = (double)at(percents[i]);

        assert_true(told >= exact - 0.5);
        assert_true(told <= exact * (1 + 1.0 / 128));
    }
    assert_int_equal(at(100), 1000000);
    assert_true(histogram_mean(&histogram) == 500000.5);
}

/* Two modes far apart: nothing is told from between them but the one or the other. */
static void a_tail(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 990; i++)
        histogram_add(&histogram, 50);
    for (unsigned i = 0; i < 10; i++)
        histogram_add(&histogram, 40000000);
    assert_int_equal(at(50), 50);
    assert_int_equal(at(99), 50);
    assert_int_equal(at(99.1), 40000000);
    assert_int_equal(at(100), 40000000);
}

static void powers_of_two(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++) {
        uint64_t value = (uint64_t)1 << bit;

        for (uint64_t near = value - 1; near <= value + 1; near++) {
            clear(NULL);
            histogram_add(&histogram, near);
            histogram_add(&histogram, (uint64_t)1 << (HISTOGRAM_VALUE_BITS - 1));
            assert_true(at(50) >= near);
            assert_true((double)at(50) <= (double)near * (1 + 1.0 / 128));
        }
    }
}

static void too_long_is_kept(void **state)
{
    uint64_t days = (uint64_t)1 << 50;

    (void)state;
    histogram_add(&histogram, 1000);
    histogram_add(&histogram, days);
    assert_int_equal(at(100), days);
    assert_int_equal(histogram.count, 2);
    assert_in_range(at(50), 1000, 1008);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing, clear),
        cmocka_unit_test_setup(one_value, clear),
        cmocka_unit_test_setup(small_values_are_exact, clear),
        cmocka_unit_test_setup(percentiles_of_a_known_set, clear),
        cmocka_unit_test_setup(a_tail, clear),
        cmocka_unit_test_setup(powers_of_two, clear),
        cmocka_unit_test_setup(too_long_is_kept, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
