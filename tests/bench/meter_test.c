/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "core.h"
#include "gaps.h"
#include "kernel_memory.h"
#include "meter.h"
#include "syscalls.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define SPIN_NS (200 * 1000000u)

/* Spends CPU time, however long that takes. */
static void spin(void)
{
    uint64_t until = clock_read(CLOCK_THREAD_CPUTIME_ID) + SPIN_NS;

    while (clock_read(CLOCK_THREAD_CPUTIME_ID) < until)
        ;
}

static void *spin_in_thread(void *argument)
{
    spin();
    return argument;
}

static void cpu_of_this_process(void **state)
{
    struct meter before, after, spent;

    (void)state;
    meter_read(&before);
    spin();
    meter_read(&after);
    spent = meter_between(&before, &after);
    assert_true(meter_cpu(&spent) > 0.19);
    assert_true(meter_cpu(&spent) < 0.4);
}

/* A thread that has ended still counts. */
static void cpu_of_a_thread(void **state)
{
    struct meter before, after, spent;
    pthread_t thread;

    (void)state;
    meter_read(&before);
    assert_int_equal(pthread_create(&thread, NULL, spin_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    meter_read(&after);
    spent = meter_between(&before, &after);
    assert_true(meter_cpu(&spent) > 0.19);
    assert_true(meter_cpu(&spent) < 0.4);
}

static void cpu_of_a_process(void **state)
{
    uint64_t before, after;

    (void)state;
    assert_int_equal(meter_process_cpu(getpid(), &before), 0);
    spin();
    assert_int_equal(meter_process_cpu(getpid(), &after), 0);
    assert_in_range(after - before, SPIN_NS, 2 * SPIN_NS);
    assert_true(meter_process_cpu(0x7ffffff0, &before) < 0);
}

/* Ticks are coarse, and others run too: at least about what was spent here. */
static void cpu_of_the_machine(void **state)
{
    const int cores[2] = {core_usable(0), 4095};
    struct machine_time before, after;

    (void)state;
    assert_int_equal(machine_time_read(&before, cores), 0);
    spin();
    assert_int_equal(machine_time_read(&after, cores), 0);
    assert_true(after.busy_s - before.busy_s >= 0.1);
    assert_true(after.steal_s >= before.steal_s);
    assert_true(after.core_busy_s[0] > 0 && after.core_busy_s[0] <= after.busy_s + 0.1);
    assert_true(after.core_busy_s[1] == 0); /* there is no such core */
}

static void resident_memory(void **state)
{
    const size_t size = 16 << 20;
    uint64_t before, after;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(memory != MAP_FAILED);
    if (meter_resident(getpid(), &before) < 0)
        skip(); /* before Linux 4.14 */
    memset(memory, 1, size);
    assert_int_equal(meter_resident(getpid(), &after), 0);
    /* ThreadSanitizer keeps four bytes about each. */
    assert_in_range(after - before, size - (1 << 20), 6 * size);
    munmap(memory, size);
}

static void system_calls(void **state)
{
    const int count = 1000;
    int fd = syscalls_open();
    int64_t before, between, after;

    (void)state;
    if (fd < 0)
        skip(); /* not allowed here */
    before = syscalls_read(fd);
    between = syscalls_read(fd);
    for (int i = 0; i < count; i++)
        syscall(SYS_getppid);
    after = syscalls_read(fd);
    assert_true(before >= 0);
    assert_int_equal(after - between, count + between - before);
    close(fd);
}

/* Late alone is what runs there; late together is the host. */
static void time_without_a_processor(void **state)
{
    static const struct gap_list one = {2, {{10, 30}, {50, 90}}};
    static const struct gap_list other = {3, {{0, 15}, {25, 40}, {60, 70}}};
    static const struct gap_list none = {0};

    (void)state;
    /* 10 to 15, 25 to 30, 60 to 70 */
    assert_int_equal(20, gaps_shared(&one, &other, 0, 1000) * 1e9 + 0.5);
    assert_int_equal(20, gaps_shared(&other, &one, 0, 1000) * 1e9 + 0.5);
    assert_int_equal(7, gaps_shared(&one, &other, 28, 65) * 1e9 + 0.5);
    assert_true(gaps_shared(&one, &none, 0, 1000) == 0);
}

/* Whatever runs here beside it: all that is late is noted, and nothing else. */
static void watching_ends(void **state)
{
    static struct gap_watch watch;
    const int cores[GAP_CORES] = {core_usable(0), core_usable(1)};
    uint64_t begin = clock_now();
    int rc = gap_watch_start(&watch, cores);

    (void)state;
    if (rc == -EPERM || cores[0] == cores[1])
        skip(); /* no right to real-time priority, or one core */
    assert_int_equal(rc, 0);
    spin();
    gap_watch_stop(&watch);
    for (size_t i = 0; i < GAP_CORES; i++)
        for (size_t j = 0; j < watch.watchers[i].gaps.count; j++) {
            const struct gap *gap = &watch.watchers[i].gaps.items[j];

            assert_true(gap->due > begin && gap->woke > gap->due && gap->woke <= clock_now());
        }
}

static void kernel_memory_goes_by_streams(void **state)
{
    static struct kernel_memory before = {
        .caches = 3,
        .cache = {{"TCP", 100, 2000}, {"dentry", 50000, 192}, {"sock_inode_cache", 10, 800}},
    };
    static struct kernel_memory after = {
        .caches = 6,
        .cache = {{"sock_inode_cache", 2012, 800}, /* two each, and some that are cached */
                  {"TCP", 2080, 2000},
                  {"io_kiocb", 997, 256},           /* was not there before */
                  {"dentry", 49000, 192},           /* somebody else's have gone */
                  {"ext4_inode_cache", 9000, 1000}, /* somebody else's */
                  {"kmalloc-96", 499, 96}},         /* not even one for each second stream */
    };

    (void)state;
    assert_int_equal(kernel_memory_objects(&before, &after, 1000), 2 * 800 + 2 * 2000 + 256);
    assert_int_equal(kernel_memory_objects(&after, &after, 1000), 0);
}

static void kernel_memory_is_read(void **state)
{
    static struct kernel_memory memory;
    bool found = false;

    (void)state;
    kernel_memory_read(&memory);
    if (!memory.known)
        skip(); /* only root may */
    for (size_t i = 0; i < memory.caches; i++)
        found |= strcmp(memory.cache[i].name, "TCP") == 0 && memory.cache[i].size > 1000;
    assert_true(found);
    assert_int_equal(memory.sockets % (uint64_t)sysconf(_SC_PAGESIZE), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_of_this_process),
        cmocka_unit_test(cpu_of_a_thread),
        cmocka_unit_test(cpu_of_a_process),
        cmocka_unit_test(cpu_of_the_machine),
        cmocka_unit_test(resident_memory),
        cmocka_unit_test(system_calls),
        cmocka_unit_test(time_without_a_processor),
        cmocka_unit_test(watching_ends),
        cmocka_unit_test(kernel_memory_goes_by_streams),
        cmocka_unit_test(kernel_memory_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
