/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "outcomes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 4 * LB_REASONS_MAX };

static const struct lb_verdict whole = {.end = LB_END_EOF};
static const struct lb_verdict idle = {.end = LB_END_TIMEOUT, .why = "idle"};
static const struct lb_verdict denied = {.end = LB_END_LIMIT, .why = "denied"};
static const struct lb_verdict full_disk = {.end = LB_END_SINK, .error = -ENOSPC};
static const struct lb_verdict no_header = {.end = LB_END_ERROR, .why = "no header"};

static struct lb_outcomes outcomes, others;
static struct lb_outcome list[ROOM];

static int setup(void **state)
{
    (void)state;
    memset(&outcomes, 0, sizeof(outcomes));
    memset(&others, 0, sizeof(others));
    return 0;
}

static uint64_t count_of(size_t used, enum lb_end end, const char *reason)
{
    uint64_t count = 0;

    for (size_t i = 0; i < used; i++)
        if (list[i].end == end && strcmp(list[i].reason, reason) == 0)
            count += list[i].count;
    return count;
}

static void stats_are_their_sums(void **state)
{
    struct lb_stats stats = {LB_STATS_INIT};

    (void)state;
    lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &whole);
    lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &whole);
    lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &idle);
    lb_outcomes_count(&outcomes, LB_OUTCOME_REFUSED_STREAM, &denied);
    lb_outcomes_count(&outcomes, LB_OUTCOME_REFUSED, &no_header);
    lb_outcomes_sum(&stats, &outcomes);
    assert_int_equal(stats.ends[LB_END_EOF], 2);
    assert_int_equal(stats.ends[LB_END_TIMEOUT], 1);
    assert_int_equal(stats.ends[LB_END_LIMIT], 1);
    assert_int_equal(stats.ends[LB_END_ERROR], 0);
    assert_int_equal(stats.streams, 4);
    assert_int_equal(stats.partial, 1);
    assert_int_equal(stats.refused, 2);
    assert_int_equal(stats.failed_preludes, 1);
}

/* Two strings that read the same are one reason, whatever lane they were counted on. */
static void lanes_are_merged_by_what_the_reason_reads(void **state)
{
    char same[] = "idle";
    const struct lb_verdict idle_too = {.end = LB_END_TIMEOUT, .why = same};
    size_t used;

    (void)state;
    lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &idle);
    lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &idle_too);
    lb_outcomes_count(&others, LB_OUTCOME_STREAM, &full_disk);
    lb_outcomes_count(&others, LB_OUTCOME_STREAM, &idle_too);
    used = lb_outcomes_list(list, 0, ROOM, &outcomes);
    used = lb_outcomes_list(list, used, ROOM, &others);
    assert_int_equal(used, LB_END_COUNT + 2);
    assert_int_equal(count_of(used, LB_END_TIMEOUT, "idle"), 3);
    assert_int_equal(count_of(used, LB_END_TIMEOUT, ""), 0);
#ifdef LB_HAVE_STRERRORNAME
    assert_int_equal(count_of(used, LB_END_SINK, "ENOSPC"), 1);
#endif
    for (size_t i = 0; i < used; i++)
        assert_true(list[i].stream && !list[i].refused && list[i].size == sizeof(list[i]));
}

static void who_was_turned_away_is_told_apart(void **state)
{
    const struct lb_verdict as_a_stream = {.end = LB_END_ERROR, .why = no_header.why};
    size_t used, found = 0;

    (void)state;
    lb_outcomes_count(&outcomes, LB_OUTCOME_REFUSED, &no_header);
    lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &as_a_stream);
    lb_outcomes_count(&outcomes, LB_OUTCOME_REFUSED_STREAM, &as_a_stream);
    used = lb_outcomes_list(list, 0, ROOM, &outcomes);
    for (size_t i = 0; i < used; i++) {
        if (strcmp(list[i].reason, "no header") != 0)
            continue;
        assert_int_equal(list[i].count, 1);
        found |= 1u << (list[i].stream * 2 + list[i].refused);
    }
    assert_int_equal(found, 1 << 1 | 1 << 2 | 1 << 3);
}

/* Nothing is lost, in whatever order the reasons come. */
static void reasons_beyond_its_memory_count_as_none(void **state)
{
    static char names[2 * LB_REASONS_MAX][16];
    struct lb_stats stats = {LB_STATS_INIT};
    size_t used;

    (void)state;
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < 2 * LB_REASONS_MAX; i++) {
            struct lb_verdict verdict = {.end = LB_END_LIMIT, .why = names[i]};

            snprintf(names[i], sizeof(names[i]), "reason-%zu", i);
            lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &verdict);
        }
    used = lb_outcomes_list(list, 0, ROOM, &outcomes);
    assert_int_equal(used, LB_END_COUNT + LB_REASONS_MAX);
    assert_int_equal(count_of(used, LB_END_LIMIT, names[0]), 3);
    assert_int_equal(count_of(used, LB_END_LIMIT, ""), 3 * LB_REASONS_MAX);
    lb_outcomes_sum(&stats, &outcomes);
    assert_int_equal(stats.ends[LB_END_LIMIT], 3 * 2 * LB_REASONS_MAX);
}

static void a_list_without_room_is_not_overrun(void **state)
{
    (void)state;
    lb_outcomes_count(&outcomes, LB_OUTCOME_STREAM, &idle);
    list[2].count = 77;
    assert_int_equal(lb_outcomes_list(list, 0, 2, &outcomes), 2);
    assert_int_equal(list[2].count, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(stats_are_their_sums, setup),
        cmocka_unit_test_setup(lanes_are_merged_by_what_the_reason_reads, setup),
        cmocka_unit_test_setup(who_was_turned_away_is_told_apart, setup),
        cmocka_unit_test_setup(reasons_beyond_its_memory_count_as_none, setup),
        cmocka_unit_test_setup(a_list_without_room_is_not_overrun, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
