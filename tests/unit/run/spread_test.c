/* SPDX-License-Identifier: MIT */
/* How connections are spread over the lanes: in a simulation of many, and in an engine of two. */
#include "unit.h"

#include "engine.h"
#include "support.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LANES_MAX = 64, ROUNDS = 20 };

static struct lb_door *open_door(unsigned lanes)
{
    static struct lb_inbox nobody;
    struct lb_door *door = calloc(1, sizeof(*door));

    assert_non_null(door);
    assert_int_equal(lb_door_init(door, lanes), 0);
    for (unsigned i = 0; i < lanes; i++)
        lb_door_add(door, &nobody);
    return door;
}

static void close_door(struct lb_door *door)
{
    free(door->lanes);
    free(door);
}

/* One comes to a random lane, as the kernel has it. Returns whose it is. */
static unsigned come(struct lb_door *door, uint64_t *random)
{
    unsigned lane = (unsigned)random_between(random, 0, door->lane_count - 1);

    lane = lb_door_choose_lane(door, lane);
    lb_door_load(door, lane);
    return lane;
}

static void as_many_streams_as_lanes_use_all(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (unsigned lanes = 1; lanes <= LANES_MAX; lanes++) {
        struct lb_door *door = open_door(lanes);

        for (unsigned i = 0; i < lanes; i++)
            come(door, &random);
        for (unsigned i = 0; i < lanes; i++)
            assert_int_equal(door->lanes[i].load, 1);
        close_door(door);
    }
}

static void assert_even(const struct lb_door *door, unsigned streams)
{
    double mean = (double)streams / door->lane_count;

    for (unsigned i = 0; i < door->lane_count; i++)
        if (door->lanes[i].load > mean * 1.25 + 1)
            fail_msg("%u streams on %u lanes: one has %u", streams, door->lane_count,
                     door->lanes[i].load);
}

/* More streams than lanes, coming and going. */
static void no_lane_has_much_more_than_the_mean(void **state)
{
    static unsigned owners[1000];
    uint64_t random = 11;

    (void)state;
    for (unsigned lanes = 2; lanes <= LANES_MAX; lanes *= 2) {
        struct lb_door *door = open_door(lanes);

        for (unsigned i = 0; i < 1000; i++) {
            owners[i] = come(door, &random);
            assert_even(door, i + 1);
        }
        for (unsigned i = 0; i < 20000; i++) {
            unsigned one = (unsigned)random_between(&random, 0, 999);

            lb_door_unload(door, owners[one]);
            owners[one] = come(door, &random);
        }
        assert_even(door, 1000);
        close_door(door);
    }
}

/* Whoever is not busier than others keeps what it has accepted. */
static void nothing_is_handed_round(void **state)
{
    struct lb_door *door = open_door(4);

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(lb_door_choose_lane(door, i), i);
        for (unsigned k = 0; k < 100; k++)
            lb_door_load(door, i);
    }
    for (unsigned k = 0; k < 12; k++)
        lb_door_load(door, 2);
    assert_int_equal(lb_door_choose_lane(door, 2), 2);
    for (unsigned k = 0; k < 4; k++)
        lb_door_load(door, 2);
    assert_int_not_equal(lb_door_choose_lane(door, 2), 2);
    close_door(door);
}

/* ---- an engine ------------------------------------------------------------------------------- */

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

static const struct lb_sink sink = {LB_SINK_INIT, .name = "take", .write = take};

static void await_streams(const struct lb_engine *engine, unsigned count)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    while (atomic_load(&engine->door.gate.active) < count) {
        assert_true(time_now_ns() < deadline);
        time_nap();
    }
}

static void run_two(const char *backend)
{
    const char *const listen[] = {"127.0.0.1:0", NULL};
    struct lb_engine *engine;
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};
    int peers[2];

    lb_config_init(&config);
    config.listen = listen;
    config.backend = backend;
    config.sink = &sink;
    config.workers = 2;
    assert_int_equal(lb_engine_open(&engine, &config, &error), 0);
    assert_int_equal(lb_engine_start(engine), 0);
    for (unsigned i = 0; i < 2; i++) {
        peers[i] = lb_connect(lb_engine_address(engine, 0), 5000, &error);
        assert_true(peers[i] >= 0);
    }
    await_streams(engine, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(engine->door.lanes[i].load, 1);
    for (unsigned i = 0; i < 2; i++)
        close(peers[i]);
    lb_engine_close(engine);
}

static void two_streams_on_two_workers(void **state)
{
    struct lb_probe probe = {LB_PROBE_INIT};

    (void)state;
    lb_probe(&probe);
    for (size_t i = 0; i < probe.backends; i++)
        for (unsigned round = 0; probe.features[i].usable && round < ROUNDS; round++)
            run_two(probe.features[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_streams_as_lanes_use_all),
        cmocka_unit_test(no_lane_has_much_more_than_the_mean),
        cmocka_unit_test(nothing_is_handed_round),
        cmocka_unit_test(two_streams_on_two_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
