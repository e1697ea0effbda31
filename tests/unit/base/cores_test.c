/* SPDX-License-Identifier: MIT */
/* Cores: what affinity and control groups leave, and lists of them. */
#include "unit.h"

#include "cores.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A root of our own, in which there are files of the kernel's as we want them. */
static int setup(void **state)
{
    char *root = strdup("/tmp/lastbyte-cores-XXXXXX");

    *state = root;
    return root && mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[200];

    snprintf(command, sizeof(command), "rm -rf '%s'", (const char *)*state);
    free(*state);
    return system(command);
}

static void put(const char *root, const char *name, const char *text)
{
    char command[400];

    snprintf(command, sizeof(command), "mkdir -p $(dirname '%s/%s') && printf '%s' >'%s/%s'", root,
             name, text, root, name);
    assert_int_equal(system(command), 0);
}

static unsigned affine(void)
{
    cpu_set_t set;

    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    return (unsigned)CPU_COUNT(&set);
}

static void without_groups_affinity_counts(void **state)
{
    assert_int_equal(lb_cores_usable(*state), affine());
    put(*state, "proc/self/cgroup", "0::/\n");
    put(*state, "sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_int_equal(lb_cores_usable(*state), affine());
}

static void a_quota_is_rounded_up(void **state)
{
    if (affine() < 2)
        skip();
    put(*state, "proc/self/cgroup", "1:cpu:/old\n0::/box/mine\n");
    put(*state, "sys/fs/cgroup/box/mine/cpu.max", "30000 100000\n");
    assert_int_equal(lb_cores_usable(*state), 1);
    put(*state, "sys/fs/cgroup/box/mine/cpu.max", "100001 100000\n");
    assert_int_equal(lb_cores_usable(*state), 2);
    put(*state, "sys/fs/cgroup/box/mine/cpu.max", "6400000 100000\n");
    assert_int_equal(lb_cores_usable(*state), affine());
}

static void the_least_of_the_groups_above_counts(void **state)
{
    put(*state, "proc/self/cgroup", "0::/box/mine\n");
    put(*state, "sys/fs/cgroup/box/mine/cpu.max", "max 100000\n");
    put(*state, "sys/fs/cgroup/box/cpu.max", "100000 100000\n");
    assert_int_equal(lb_cores_usable(*state), 1);
}

static void nonsense_is_no_limit(void **state)
{
    put(*state, "proc/self/cgroup", "0::/box\n");
    put(*state, "sys/fs/cgroup/box/cpu.max", "much\n");
    assert_int_equal(lb_cores_usable(*state), affine());
    put(*state, "sys/fs/cgroup/box/cpu.max", "5 0\n");
    assert_int_equal(lb_cores_usable(*state), affine());
}

static void affinity_counts(void **state)
{
    cpu_set_t before, one;

    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    CPU_ZERO(&one);
    CPU_SET(lb_cores_pick(&before, 0), &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(lb_cores_usable(*state), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void lists(void **state)
{
    static const char *const bad[] = {"",     "x",   "0-", "-1",      "0,",
                                      "0,,0", "1-0", "0 ", "0-99999", "+0"};
    struct lb_error error = {LB_ERROR_INIT};
    cpu_set_t set, usable;
    char last[20];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(lb_cores_parse(&set, bad[i], &error), -EINVAL);
        assert_non_null(strstr(error.text, "0-3,8"));
    }
    assert_int_equal(lb_cores_parse(&set, "1023", &error), -EINVAL);
    assert_non_null(strstr(error.text, "may not use"));
    assert_non_null(strstr(error.text, "cpus="));
    assert_int_equal(sched_getaffinity(0, sizeof(usable), &usable), 0);
    snprintf(last, sizeof(last), "%d", lb_cores_pick(&usable, affine() - 1));
    assert_int_equal(lb_cores_parse(&set, last, &error), 0);
    assert_int_equal(CPU_COUNT(&set), 1);
    assert_int_equal(lb_cores_pick(&set, 0), atoi(last));
    assert_int_equal(lb_cores_pick(&set, 7), atoi(last));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_groups_affinity_counts),
        TEST(a_quota_is_rounded_up),
        TEST(the_least_of_the_groups_above_counts),
        TEST(nonsense_is_no_limit),
        TEST(affinity_counts),
        cmocka_unit_test(lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
