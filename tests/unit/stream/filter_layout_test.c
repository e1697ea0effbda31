/* SPDX-License-Identifier: MIT */
/* Where filters' states are in a stream's memory, and how large a piece may be. */
#include "unit.h"

#include "filter.h"

#include <errno.h>

enum { SLOT = 4096, ODD = 33 };

static bool eat(struct lb_stage *stage, const uint8_t *data, size_t size,
                struct lb_verdict *verdict)
{
    (void)stage;
    (void)data;
    (void)size;
    (void)verdict;
    return true;
}

static const struct lb_filter deciphers = {
    .name = "deciphers", .state_size = ODD, .grows = 1, .extra = 16, .take = eat};
static const struct lb_filter inflates = {
    .name = "inflates", .state_size = 1, .grows = 3, .extra = 100, .take = eat};
static const struct lb_filter judges = {.name = "judges", .state_size = ODD};

static const struct lb_sink plain = {.name = "plain", .state_size = ODD};
static const struct lb_sink pausing = {
    .name = "pausing", .flags = LB_SINK_MAY_PAUSE, .state_size = ODD};

static struct lb_rules lay_out(const struct lb_sink *sink, const struct lb_filter *first,
                               const struct lb_filter *second)
{
    struct lb_rules rules = {.sink = sink, .pool = {.slot_size = SLOT, .slots = 4}};
    const struct lb_filter *filters[] = {first, second};

    for (int i = 0; i < 2; i++)
        if (filters[i])
            rules.filters[rules.filter_count++].filter = filters[i];
    lb_rules_lay_out(&rules);
    return rules;
}

static void states_are_aligned_and_apart(void **state)
{
    struct lb_rules rules = lay_out(&plain, &deciphers, &judges);

    (void)state;
    assert_true(rules.filters[0].offset >= plain.state_size);
    assert_true(rules.filters[1].offset >= rules.filters[0].offset + deciphers.state_size);
    assert_true(rules.stream_size >= rules.filters[1].offset + judges.state_size);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rules.filters[i].offset % 16, 0);
}

/* What the last filter makes of a piece, at most. */
static size_t most_made(const struct lb_rules *rules)
{
    size_t size = rules->piece;

    for (unsigned i = 0; i < rules->filter_count; i++)
        if (rules->filters[i].filter->take)
            size = size * rules->filters[i].filter->grows + rules->filters[i].filter->extra;
    return size;
}

static const struct lb_filter *const filters[] = {&deciphers, &inflates, &judges, NULL};

/* A stream may keep one slot: all that comes of a piece fits there. */
static void what_a_pausing_sink_leaves_fits_into_a_slot(void **state)
{
    (void)state;
    for (int first = 0; first < 3; first++)
        for (int second = 0; second < 4; second++) {
            struct lb_rules rules = lay_out(&pausing, filters[first], filters[second]);

            if (!rules.filtered)
                continue;
            assert_true(rules.piece > 0);
            assert_true(most_made(&rules) <= rules.pool.slot_size);
        }
}

static void what_is_made_fits_into_the_scratch(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++)
        for (int second = 0; second < 4; second++) {
            struct lb_rules rules = lay_out(&plain, filters[first], filters[second]);

            assert_true(rules.piece > 0);
            assert_true(most_made(&rules) <= LB_SCRATCH_SIZE);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_aligned_and_apart),
        cmocka_unit_test(what_a_pausing_sink_leaves_fits_into_a_slot),
        cmocka_unit_test(what_is_made_fits_into_the_scratch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
