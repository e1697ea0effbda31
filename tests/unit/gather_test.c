/* SPDX-License-Identifier: MIT */
/* The gathering controller, driven by models of arrivals instead of sockets. */
#include "unit.h"

#include "gather.h"

#define MAX_NS UINT64_C(1000000)
#define TARGET (UINT64_C(256) << 10)

enum { WINDOW_NS = LB_GATHER_WINDOW_NS };

/* Peers that send at some rate, and a worker that pays for each turn and each byte. */
struct model {
    double bytes_per_ns; /* what peers send when nothing holds them up */
    double most_queued;  /* bytes: all their windows together; they wait when it is full */
    double turn_cost_ns; /* waking up */
    double byte_cost_ns;
    double interval_ns; /* between arrivals that wake the worker when it does not gather */
};

/* One window of the model under the present decision; the controller's next decision. */
static uint64_t step(struct lb_gather *gather, const struct model *model)
{
    double gathering = (double)gather->ns;
    double period = gathering > model->interval_ns ? gathering : model->interval_ns;
    double cost, per_turn = 0;
    struct lb_gather_window window;

    /* A turn takes at least as long as its own work. */
    for (int i = 0; i < 20; i++) {
        per_turn = model->bytes_per_ns * period;
        if (per_turn > model->most_queued)
            per_turn = model->most_queued;
        cost = model->turn_cost_ns + per_turn * model->byte_cost_ns;
        if (cost <= period)
            break;
        period = cost;
    }
    cost = model->turn_cost_ns + per_turn * model->byte_cost_ns;
    window = (struct lb_gather_window){
        .wall_ns = WINDOW_NS,
        .cpu_ns = (uint64_t)(WINDOW_NS / period * cost),
        .turns = (uint64_t)(WINDOW_NS / period),
        .bytes = (uint64_t)(WINDOW_NS / period * per_turn),
    };
    return lb_gather_decide(gather, &window);
}

static uint64_t settle(struct lb_gather *gather, const struct model *model, int windows)
{
    uint64_t ns = 0;

    while (windows-- > 0)
        ns = step(gather, model);
    return ns;
}

/* 64 peers, 4 KiB at a time, as fast as one core sends. */
static const struct model fan_in = {1.0, 16e6, 8000, 0.1, 4096};

/* A few small messages: hardly any load. */
static const struct model trickle = {0.00064, 1e6, 8000, 0.1, 100000};

/* One peer whose window is 64 KiB: it sends no more until those are received. */
static const struct model small_window = {2.5, 65536, 8000, 0.15, 26000};

/* One bulk stream that brings the target's bytes with every wake-up. */
static const struct model bulk = {2.5, 6e6, 8000, 0.15, 120000};

static void never_waits_with_time_to_spare(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(0, step(&gather, &trickle));
}

static void gathers_the_target_under_load(void **state)
{
    struct lb_gather gather;
    uint64_t ns;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET);
    ns = settle(&gather, &fan_in, 10);
    assert_in_range(ns, 50000, 400000);
}

static void is_bounded_and_can_be_off(void **state)
{
    const struct model thin = {0.01, 16e6, 8000, 0.1, 10000};
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, 300000, TARGET);
    for (int i = 0; i < 100; i++)
        assert_true(step(&gather, &thin) <= 300000);
    assert_int_equal(300000, gather.ns);
    lb_gather_init(&gather, 0, TARGET);
    for (int i = 0; i < 100; i++)
        assert_int_equal(0, step(&gather, &fan_in));
}

/* Waiting for a peer that waits for us is the cliff: it must be tried rarely, and left at once. */
static void leaves_a_full_window_alone(void **state)
{
    struct lb_gather gather;
    int gathering = 0;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET);
    for (int i = 0; i < 1000; i++)
        gathering += step(&gather, &small_window) > 0;
    assert_in_range(gathering, 0, 20);
}

static void has_nothing_to_add_to_bulk(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET);
    for (int i = 0; i < 100; i++)
        assert_int_equal(0, step(&gather, &bulk));
}

/* The first message after a burst may find the last decision; the window it ends undoes it. */
static void forgets_the_load_with_its_first_quiet_window(void **state)
{
    struct lb_gather gather;

    (void)state;
    lb_gather_init(&gather, MAX_NS, TARGET);
    assert_true(settle(&gather, &fan_in, 20) > 0);
    assert_int_equal(0, step(&gather, &trickle));
    assert_true(settle(&gather, &fan_in, 3) > 0);
}

/* It must not go on and off by itself: gathering lowers the very load that began it. */
static void is_steady_under_a_steady_load(void **state)
{
    struct lb_gather gather;

    (void)state;
    for (double rate = 0.01; rate < 2; rate *= 1.3) {
        struct model model = fan_in;
        int changes = 0;
        uint64_t before;

        model.bytes_per_ns = rate;
        model.interval_ns = 4096 / rate;
        lb_gather_init(&gather, MAX_NS, TARGET);
        before = settle(&gather, &model, 50);
        for (int i = 0; i < 100; i++) {
            uint64_t now = step(&gather, &model);

            changes += (now == 0) != (before == 0);
            before = now;
        }
        assert_in_range(changes, 0, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_waits_with_time_to_spare),
        cmocka_unit_test(gathers_the_target_under_load),
        cmocka_unit_test(is_bounded_and_can_be_off),
        cmocka_unit_test(leaves_a_full_window_alone),
        cmocka_unit_test(has_nothing_to_add_to_bulk),
        cmocka_unit_test(forgets_the_load_with_its_first_quiet_window),
        cmocka_unit_test(is_steady_under_a_steady_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
