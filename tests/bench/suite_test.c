/* SPDX-License-Identifier: MIT */
/* Whole trials: what is wrong is caught and named, and the others go on. The contenders are those
 * of liars.c. */
#include "clock.h"
#include "suite_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct options options;

static struct suite *open_suite(const char *workload, const char *names)
{
    struct suite *suite;

    options_init(&options);
    options.workloads = workload;
    options.contenders = names;
    options.bytes = 1 << 20;
    options.streams = 4;
    options.no_syscalls = true;
    assert_int_equal(suite_open(&suite, &options), 0);
    return suite;
}

/* Runs the only benchmark; returns its result. */
static int run_only(const char *workload, const char *name, bool verify, struct figures *figures,
                    char why[SUITE_WHY_SIZE])
{
    struct suite *suite = open_suite(workload, name);
    struct suite_case *chosen = suite_at(suite, 0);
    int rc;

    assert_non_null(chosen);
    assert_null(suite_at(suite, 1));
    chosen->trial.verify = verify;
    chosen->trial.timeout_s = 20;
    why[0] = '\0';
    rc = suite_case_run(chosen, figures, why);
    suite_close(suite);
    return rc;
}

static void assert_wrong(const char *workload, const char *name, bool verify, const char *expected)
{
    struct figures figures;
    char why[SUITE_WHY_SIZE];

    assert_int_equal(run_only(workload, name, verify, &figures, why), -1);
    if (!strstr(why, expected))
        fail_msg("\"%s\" does not say \"%s\"", why, expected);
    assert_memory_equal(why, name, strlen(name));
    assert_int_equal(figures.count, 0);
}

static double figure(const struct figures *figures, const char *name)
{
    const double *value = figures_find(figures, name);

    assert_non_null(value);
    return value ? *value : 0;
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-9)
        fail_msg("%.12g in place of %.12g", value, expected);
}

static void honest_is_measured(void **state)
{
    struct figures figures;
    char why[SUITE_WHY_SIZE];
    double wall, cpu;

    (void)state;
    assert_int_equal(run_only("bulk", "honest", false, &figures, why), 0);
    wall = figure(&figures, "wall_s");
    assert_true(wall > 0 && wall < 20);
    assert_true(figure(&figures, "bytes") == 1 << 20);
    assert_true(figure(&figures, "streams") == 1);
    assert_near(figure(&figures, "gib_per_s") * wall, 1.0 / 1024);
    cpu = figure(&figures, "receiver_cpu_s");
    assert_true(cpu > 0);
    assert_near(cpu, figure(&figures, "receiver_cpu_s_per_gib") / 1024);
    assert_near(cpu, figure(&figures, "receiver_user_s") + figure(&figures, "receiver_system_s"));
    assert_null(figures_find(&figures, "syscalls_per_mib"));
    assert_true(figure(&figures, "started_s") <= clock_seconds(clock_read(CLOCK_REALTIME)));
}

static void system_calls_are_counted_or_absent(void **state)
{
    struct suite *suite = open_suite("bulk", "honest");
    struct suite_case *chosen = suite_at(suite, 0);
    struct figures figures;
    char why[SUITE_WHY_SIZE];
    const double *calls;

    (void)state;
    chosen->count_syscalls = true;
    assert_int_equal(suite_case_run(chosen, &figures, why), 0);
    suite_close(suite);
    calls = figures_find(&figures, "syscalls_per_mib");
    if (!calls)
        skip();
    /* At least one receive for each 16 KiB. */
    assert_true(calls && *calls >= 64 && *calls < 5000);
}

static void honest_is_verified(void **state)
{
    static const char *const sent[] = {"bulk", "bulk-sendfile", "short", "file", "dir", NULL};
    struct figures figures;
    char why[SUITE_WHY_SIZE];

    (void)state;
    for (size_t i = 0; sent[i]; i++)
        if (run_only(sent[i], "honest", true, &figures, why) < 0)
            fail_msg("%s: %s", sent[i], why);
}

static void lost_byte_is_caught(void **state)
{
    (void)state;
    assert_wrong("bulk", "dropping", false, "a stream of 1048575 bytes where 1048576 were sent");
    assert_wrong("bulk-sendfile", "dropping", false, "a stream of 1048575 bytes");
    assert_wrong("short", "dropping", false, "a stream of 12 bytes where 13 were sent");
    assert_wrong("file", "dropping", false, "1048575 bytes");
}

static void doubled_byte_is_caught(void **state)
{
    (void)state;
    assert_wrong("bulk", "doubling", false, "a stream of 1048577 bytes where 1048576 were sent");
    assert_wrong("dir", "doubling", false, "bytes where");
}

static void swapped_bytes_are_caught_by_verify(void **state)
{
    (void)state;
    assert_wrong("bulk", "swapping", true, "not those that were sent");
    assert_wrong("short", "swapping", true, "not those that were sent");
    assert_wrong("dir", "swapping", true, "not those that were sent");
}

static void deserter_is_caught(void **state)
{
    (void)state;
    assert_wrong("bulk", "deserting", false, "");
}

static void crash_is_caught(void **state)
{
    (void)state;
    assert_wrong("bulk", "crashing", false, "the receiver was killed by signal 9");
}

static void failure_is_told(void **state)
{
    (void)state;
    assert_wrong("bulk", "failing", false, "it has no memory of how to begin");
}

/* All of them, one after another, in one process: a trial must leave nothing behind. */
static void others_go_on(void **state)
{
    struct suite *suite = open_suite("bulk,short", NULL);
    unsigned right = 0, wrong = 0;
    struct suite_case *chosen;

    (void)state;
    assert_string_equal(suite_missing(suite), "absent: absent was never installed");
    for (size_t i = 0; (chosen = suite_at(suite, i)); i++) {
        bool honest = strstr(suite_case_name(chosen), "/honest") != NULL;
        struct figures figures;
        char why[SUITE_WHY_SIZE];
        int rc;

        assert_null(strstr(suite_case_name(chosen), "absent"));
        if (strstr(suite_case_name(chosen), "/swapping"))
            continue; /* only verify would tell */
        rc = suite_case_run(chosen, &figures, why);
        assert_int_equal(rc, honest ? 0 : -1);
        right += rc == 0;
        wrong += rc < 0;
    }
    assert_int_equal(right, 2);
    assert_int_equal(wrong, 10);
    suite_close(suite);
}

static void only_the_absent(void **state)
{
    struct suite *suite = open_suite("bulk", "absent");

    (void)state;
    assert_null(suite_at(suite, 0));
    assert_string_equal(suite_missing(suite), "absent: absent was never installed");
    assert_int_equal(suite_verify(suite), 0);
    suite_close(suite);
}

static void control_is_run_twice(void **state)
{
    struct suite *suite;

    (void)state;
    options_init(&options);
    options.workloads = "bulk";
    options.contenders = "honest,dropping";
    options.control = "honest";
    assert_int_equal(suite_open(&suite, &options), 0);
    assert_string_equal(suite_case_name(suite_at(suite, 0)), "bulk/dropping");
    assert_string_equal(suite_case_name(suite_at(suite, 1)), "bulk/honest");
    assert_string_equal(suite_case_name(suite_at(suite, 2)), "bulk/honest/control");
    assert_null(suite_at(suite, 3));
    suite_close(suite);
}

static void unknown_names_are_refused(void **state)
{
    struct suite *suite;

    (void)state;
    options_init(&options);
    options.workloads = "bulk,bulky";
    assert_int_equal(suite_open(&suite, &options), -1);
    options.workloads = NULL;
    options.contenders = "nobody";
    assert_int_equal(suite_open(&suite, &options), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_is_measured),
        cmocka_unit_test(system_calls_are_counted_or_absent),
        cmocka_unit_test(honest_is_verified),
        cmocka_unit_test(lost_byte_is_caught),
        cmocka_unit_test(doubled_byte_is_caught),
        cmocka_unit_test(swapped_bytes_are_caught_by_verify),
        cmocka_unit_test(deserter_is_caught),
        cmocka_unit_test(crash_is_caught),
        cmocka_unit_test(failure_is_told),
        cmocka_unit_test(others_go_on),
        cmocka_unit_test(only_the_absent),
        cmocka_unit_test(control_is_run_twice),
        cmocka_unit_test(unknown_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
