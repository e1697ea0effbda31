/* SPDX-License-Identifier: MIT */
/* What the benchmarks set and record of the engine by the linker's help, and what a floor follows.
 */
#include "switches.h"

#include "acks.h"
#include "gather.h"
#include "schedule.h"
#include "uring.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { RECEIVES = 64, WINDOWS = 200, SMALL = 64 };

static void modes_are_set(void **state)
{
    static const struct switches none = {0}, bundled = {.bundles = true},
                                 both = {.bundles = true, .incremental = true};
    const struct lb_uring_modes usable = lb_uring_modes();
    struct lb_uring_modes modes;

    (void)state;
    switches_set(&none);
    modes = lb_uring_choose(false);
    assert_false(modes.bundles || modes.incremental);
    assert_int_equal(modes.restricted, usable.restricted);
    switches_set(&bundled);
    modes = lb_uring_choose(false);
    assert_int_equal(modes.bundles, usable.bundles);
    assert_false(modes.incremental);
    switches_set(&both);
    modes = lb_uring_choose(false);
    assert_int_equal(modes.bundles, usable.bundles);
    assert_int_equal(modes.incremental, usable.incremental);
    switches_set(NULL);
    modes = lb_uring_choose(false);
    assert_int_equal(modes.incremental, usable.incremental);
    assert_int_equal(modes.bundles, usable.bundles && !usable.incremental);
}

static bool spares(bool worth)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct lb_acks acks = {0};
    bool spared = false;

    assert_true(fd >= 0);
    for (int i = 0; i < RECEIVES; i++) {
        lb_acks_received(&acks, fd, SMALL, worth);
        spared |= acks.delayed;
    }
    close(fd);
    return spared;
}

static void acks_are_spared_or_not(void **state)
{
    static const struct switches spare = {.spare_acks = true}, send = {0};

    (void)state;
    assert_true(spares(true));
    assert_false(spares(false));
    switches_set(&spare);
    assert_true(spares(false));
    switches_set(&send);
    assert_false(spares(true));
    switches_set(NULL);
}

/* A worker that is short of time, of many small receives. */
static void gathering_is_recorded(void **state)
{
    static const struct lb_gather_window busy = {.wall_ns = 4000000,
                                                 .cpu_ns = 3600000,
                                                 .polls = 400,
                                                 .receives = 800,
                                                 .bytes = 800 * SMALL,
                                                 .streams = 64};
    struct schedule *schedule = schedule_open();
    uint64_t last = 0, changes = 0;
    struct lb_gather gather;

    (void)state;
    assert_non_null(schedule);
    lb_gather_init(&gather, 1000000, 1 << 20, true);
    switches_record(schedule);
    for (int i = 0; i < WINDOWS; i++) {
        bool small = gather.small;
        uint64_t ns = lb_gather_decide(&gather, &busy);

        changes += ns != last || small != gather.small;
        last = ns;
    }
    switches_record(NULL);
    assert_true(changes > 0);
    assert_int_equal(changes, schedule->count);
    assert_int_equal(last, schedule->steps[schedule->count - 1].gather_ns);
    schedule_close(schedule);
}

static void a_schedule_is_followed(void **state)
{
    static const struct schedule_step steps[] = {
        {0, 0, false}, {100, 150, false}, {200, 150, false}, {300, 150, true}, {400, 0, false}};
    static struct schedule schedule;
    size_t next = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        schedule_note(&schedule, &steps[i]);
    assert_int_equal(3, schedule.count); /* changes alone */
    assert_int_equal(0, schedule_at(&schedule, 99, &next).gather_ns);
    assert_int_equal(150, schedule_at(&schedule, 100, &next).gather_ns);
    assert_false(schedule_at(&schedule, 299, &next).spares);
    assert_true(schedule_at(&schedule, 350, &next).spares);
    assert_int_equal(0, schedule_at(&schedule, 1 << 20, &next).gather_ns);
    assert_false(schedule_at(&schedule, 1 << 20, &next).spares);
}

static void a_schedule_has_an_end(void **state)
{
    static struct schedule schedule;

    (void)state;
    for (uint64_t i = 0; i < 2 * SCHEDULE_MAX; i++)
        schedule_note(&schedule, &(struct schedule_step){i, i + 1, false});
    assert_int_equal(SCHEDULE_MAX, schedule.count);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_set),         cmocka_unit_test(acks_are_spared_or_not),
        cmocka_unit_test(gathering_is_recorded), cmocka_unit_test(a_schedule_is_followed),
        cmocka_unit_test(a_schedule_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
