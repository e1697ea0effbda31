/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The buckets are HdrHistogram's: of 1 ns up to 256, then 128 for each doubling. */
static void what_is_written_can_be_read(void **state)
{
    static const struct {
        uint64_t value;
        size_t bucket;
    } known[] = {{1, 1}, {255, 255}, {256, 256}, {257, 256}, {511, 383}, {512, 384}, {70000, 1288}};
    char path[] = "/tmp/lastbyte-histogram-XXXXXX";
    int fd = mkstemp(path);
    uint64_t count;
    size_t bucket;
    FILE *file;

    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        clear(NULL);
        histogram_add(&histogram, known[i].value);
        histogram_add(&histogram, known[i].value);
        assert_int_equal(0, histogram_write(&histogram, path));
        file = fopen(path, "r");
        assert_int_equal(2, fscanf(file, "%zu %" SCNu64, &bucket, &count));
        assert_int_equal(known[i].bucket, bucket);
        assert_int_equal(2, count);
        assert_int_equal(EOF, fscanf(file, "%zu", &bucket));
        fclose(file);
    }
    close(fd);
    unlink(path);
    assert_int_equal(-ENOENT, histogram_write(&histogram, "/nowhere/histogram"));
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
        cmocka_unit_test(what_is_written_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
