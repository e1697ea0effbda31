/* SPDX-License-Identifier: MIT */
/* Command lines, and what they make of a trial's size. */
#include "contenders.h"
#include "options.h"
#include "trial.h"
#include "workloads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lastbyte/lastbyte.h>

static struct options options;

static int parse(const char *a, const char *b, const char *c)
{
    char *arguments[] = {"lastbyte-bench", (char *)a, (char *)b, (char *)c, NULL};
    int count = 1;

    while (arguments[count])
        count++;
    options_init(&options);
    return options_parse(&options, OPTIONS_BENCH, count, arguments);
}

static struct trial trial_of(const char *name)
{
    const struct workload *workload = workload_find(name);
    struct trial trial;

    assert_non_null(workload);
    trial_make(&trial, workload, workload->params, &options);
    return trial;
}

static void options_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("--workload=bulk,short", "--bytes=64M", "--seconds=0.5"), 0);
    assert_string_equal(options.workloads, "bulk,short");
    assert_int_equal(options.bytes, 64 << 20);
    assert_int_equal(options.seconds_ms, 500);
    assert_int_equal(parse("--list", NULL, NULL), 0);
    assert_string_equal(options.list, "text");
    assert_int_equal(parse("--list=json", "--quick", "--gather-max=0.5"), 0);
    assert_true(options.quick);
    assert_int_equal(options.gather_max_us, 500);
    assert_int_equal(parse("--gather-max=0", NULL, NULL), 0);
    assert_true(options.gather_max_us == LB_NO_GATHER);
}

static void bad_options_are_refused(void **state)
{
    static const char *const bad[] = {
        "--bytes=much",
        "--bytes=-1",
        "--streams=1000001",
        "--seconds=soon",
        "--list=xml",
        "--receiver-core=9999",
        "--rcvbuf=4G",
        "--gather-max=2000",
        "--workload=",
        "--nonsense",
        "stray",
        "--gather-max=nan",
        NULL,
    };

    (void)state;
    for (size_t i = 0; bad[i]; i++)
        if (parse(bad[i], NULL, NULL) == 0)
            fail_msg("%s was taken", bad[i]);
}

static void lists_are_read(void **state)
{
    char name[8];

    (void)state;
    assert_true(options_listed("bulk,short", "short"));
    assert_false(options_listed("bulk-sendfile", "bulk"));
    assert_true(options_item("a,bc", 1, name, sizeof(name)));
    assert_string_equal(name, "bc");
    assert_false(options_item("a,bc", 2, name, sizeof(name)));
    assert_false(options_item("far-too-long", 0, name, sizeof(name)));
}

static void bytes_are_whole_writes(void **state)
{
    (void)state;
    assert_int_equal(parse("--bytes=1000000", NULL, NULL), 0);
    assert_int_equal(trial_of("bulk").stream_bytes, 3 * 262144);
    assert_int_equal(trial_of("fanin-64").stream_bytes, 3 * 4096);
    assert_int_equal(trial_of("fanin-1000").stream_bytes, 512);
    assert_int_equal(trial_of("short").stream_bytes, 13);
    assert_int_equal(parse("--bytes=1", NULL, NULL), 0);
    assert_int_equal(trial_of("bulk").stream_bytes, 262144);
}

static void streams_vary_where_they_may(void **state)
{
    (void)state;
    assert_int_equal(parse("--streams=10", NULL, NULL), 0);
    assert_int_equal(trial_of("bulk").streams, 1);
    assert_int_equal(trial_of("fanin-64").streams, 64);
    assert_int_equal(trial_of("short").streams, 10);
    assert_int_equal(trial_of("short").at_once, 10);
    assert_int_equal(trial_of("dir").streams, 10);
    assert_int_equal(trial_of("idle").streams, 10);
    assert_int_equal(trial_of("idle").stream_bytes, 0);
}

static void messages_follow_the_rate(void **state)
{
    struct trial trial;

    (void)state;
    assert_int_equal(parse("--seconds=2", NULL, NULL), 0);
    trial = trial_of("latency");
    assert_int_equal(trial.rate, 1000);
    assert_int_equal(trial.streams, 64);
    /* 2,000 messages on 64 streams: 32 on each, of 64 bytes. */
    assert_int_equal(trial.stream_bytes, 32 * 64);
    trial_shrink(&trial, 4);
    assert_int_equal(trial.stream_bytes, 8 * 64);
}

static struct trial point(const char *name)
{
    const struct workload *map = workload_find("map");
    const struct param *param = map->params;
    struct trial trial;

    while (param->name && strcmp(param->name, name) != 0)
        param++;
    assert_non_null(param->name);
    trial_make(&trial, map, param, &options);
    return trial;
}

static void a_point_of_the_map_has_its_own_size(void **state)
{
    struct trial trial;

    (void)state;
    assert_int_equal(parse(NULL, NULL, NULL), 0);
    trial = point("1024x64x2000");
    assert_int_equal(trial.write_size, 1024);
    assert_int_equal(trial.streams, 64);
    /* 500 messages in a quarter of a second: 8 on each stream, the last round whole. */
    assert_int_equal(trial.stream_bytes, 8 * 1024);
    trial_shrink(&trial, 4);
    assert_int_equal(trial.stream_bytes, 2 * 1024);
    trial = point("16384x1000xmax");
    assert_int_equal(trial.rate, 0);
    assert_int_equal(trial.stream_bytes, (512 << 20) / 1000 / 16384 * 16384);
}

static void quick_is_less(void **state)
{
    uint64_t bytes;
    unsigned streams;

    (void)state;
    assert_int_equal(parse(NULL, NULL, NULL), 0);
    bytes = trial_of("bulk").stream_bytes;
    streams = trial_of("short").streams;
    assert_int_equal(parse("--quick", NULL, NULL), 0);
    assert_int_equal(trial_of("bulk").stream_bytes, bytes / 8);
    assert_int_equal(trial_of("short").streams, streams / 8);
}

static void every_workload_is_served(void **state)
{
    (void)state;
    for (const struct workload *workload = workloads; workload->name; workload++) {
        unsigned others = 0, ours = 0;

        for (const struct contender *contender = contenders; contender->name; contender++) {
            if (!contender_serves(contender, workload))
                continue;
            ours += contender->backend != NULL;
            others += contender->backend == NULL;
        }
        /* Ours may be built without TLS. */
        assert_true(ours >= 2 || (workload->demands & DEMAND_TLS));
        assert_true(others >= 2 || (workload->demands & (DEMAND_POOL | DEMAND_STALL)));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(bytes_are_whole_writes),
        cmocka_unit_test(streams_vary_where_they_may),
        cmocka_unit_test(messages_follow_the_rate),
        cmocka_unit_test(a_point_of_the_map_has_its_own_size),
        cmocka_unit_test(quick_is_less),
        cmocka_unit_test(every_workload_is_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
