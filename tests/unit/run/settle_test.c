/* SPDX-License-Identifier: MIT */
/* Settling: what "the default" comes to, which pool suits whom, and what is refused. */
#include "unit.h"

#include "settle.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static ssize_t take_all(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

static const struct lb_sink plain = {LB_SINK_INIT, .name = "plain", .write = take_all};
static const struct lb_sink pausing = {LB_SINK_INIT, .name = "pausing", .flags = LB_SINK_MAY_PAUSE,
                                       .write = take_all};
static const struct lb_sink serial = {
    LB_SINK_INIT, .name = "serial", .flags = LB_SINK_MAY_PAUSE | LB_SINK_SERIAL, .write = take_all};

enum { SLOT = 128 << 10, SLOTS = 3, WHOLE_SLOTS = 5 };

static struct lb_pool_shape shape(bool whole_slots)
{
    return (struct lb_pool_shape){SLOT, whole_slots ? WHOLE_SLOTS : SLOTS};
}

static const struct lb_backend backend = {.name = "some", .shape = shape, .workers = 8};

/* What every case shares; settled by settle(). */
struct settled {
    struct lb_config config;
    struct lb_sink sink;
    struct lb_rules rules;
    struct lb_throttle_limits throttle;
    struct lb_error error;
};

static struct settled begin(const struct lb_sink *sink)
{
    struct settled settled = {.error = {LB_ERROR_INIT}};

    lb_config_init(&settled.config);
    settled.config.sink = sink;
    return settled;
}

static int settle(struct settled *settled)
{
    const struct lb_config given = settled->config;
    int rc = lb_settle_take(&settled->config, &settled->sink, &given, &settled->error);

    return rc < 0 ? rc
                  : lb_settle(&settled->rules, &settled->config, &backend, &settled->throttle,
                              &settled->error);
}

static void assert_refused(struct settled settled, const char *word)
{
    assert_int_equal(settle(&settled), -EINVAL);
    assert_non_null(strstr(settled.error.text, word));
}

/* ---- defaults -------------------------------------------------------------------------------- */

static void zero_means_the_default(void **state)
{
    struct settled initialised = begin(&plain), zeroed = begin(&plain);

    (void)state;
    zeroed.config.max_streams = zeroed.config.keepalive_ms = zeroed.config.gather_max_us = 0;
    zeroed.config.handshake_timeout_ms = zeroed.config.max_handshakes = 0;
    assert_int_equal(settle(&initialised), 0);
    assert_int_equal(settle(&zeroed), 0);
    assert_int_equal(zeroed.config.max_streams, initialised.config.max_streams);
    assert_int_equal(zeroed.config.keepalive_ms, initialised.config.keepalive_ms);
    assert_int_equal(zeroed.config.max_handshakes, initialised.config.max_handshakes);
    assert_int_equal(zeroed.rules.gather_max_ns, initialised.rules.gather_max_ns);
    assert_int_equal(zeroed.rules.handshake_ns, initialised.rules.handshake_ns);
    assert_true(zeroed.config.workers > 0 && zeroed.rules.handshake_ns > 0);
}

static void none_is_not_the_default(void **state)
{
    struct settled settled = begin(&plain);

    (void)state;
    settled.config.drain_ms = LB_NO_DRAIN;
    settled.config.gather_max_us = LB_NO_GATHER;
    assert_int_equal(settle(&settled), 0);
    assert_int_equal(settled.rules.drain_ns, 0);
    assert_int_equal(settled.rules.gather_max_ns, 0);
    assert_false(settled.rules.saving);
    assert_null(settled.rules.throttle);
    assert_null(settled.rules.receipt.algorithm);
}

static void what_it_is_tuned_for(void **state)
{
    struct settled saving = begin(&plain), quick = begin(&plain), nothing = begin(&plain);

    (void)state;
    saving.config.tune = LB_TUNE_SAVE_CPU;
    assert_int_equal(settle(&saving), 0);
    assert_true(saving.rules.saving && saving.rules.gather_max_ns == 1000000);
    quick.config.tune = LB_TUNE_LATENCY;
    quick.config.gather_max_us = 5000;
    assert_int_equal(settle(&quick), 0);
    assert_true(!quick.rules.saving && quick.rules.gather_max_ns == 0);
    nothing.config.tune = LB_TUNE_LATENCY + 1;
    assert_refused(nothing, "tune");
}

static void a_worker_that_could_have_no_stream_is_none(void **state)
{
    struct settled counted = begin(&plain), few = begin(&plain);

    (void)state;
    assert_true(backend.workers > 3);
    counted.config.count = 3;
    assert_int_equal(settle(&counted), 0);
    assert_int_equal(counted.config.workers, 3);
    few.config.max_streams = 2;
    assert_int_equal(settle(&few), 0);
    assert_int_equal(few.config.workers, 2);
}

static void a_worker_without_descriptors_is_none(void **state)
{
    struct settled few = begin(&plain), asked = begin(&plain);
    struct rlimit usual, low;

    (void)state;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &usual), errno);
    low = (struct rlimit){.rlim_cur = 44, .rlim_max = usual.rlim_max};
    assert_return_code(setrlimit(RLIMIT_NOFILE, &low), errno);
    asked.config.workers = 8;
    assert_int_equal(settle(&few), 0);
    assert_int_equal(settle(&asked), 0);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &usual), errno);
    assert_in_range(few.config.workers, 1, backend.workers - 1);
    assert_int_equal(asked.config.workers, 8);
}

static void a_serial_sink_has_one_stream_at_a_time(void **state)
{
    struct settled settled = begin(&serial);

    (void)state;
    settled.config.workers = 4;
    assert_int_equal(settle(&settled), 0);
    assert_int_equal(settled.config.workers, 1);
    assert_int_equal(settled.rules.max_streams, 1);
}

/* ---- pools ----------------------------------------------------------------------------------- */

static struct lb_pool_shape pool_of(struct settled settled)
{
    assert_int_equal(settle(&settled), 0);
    return settled.rules.pool;
}

static void the_backend_knows_what_suits_it(void **state)
{
    (void)state;
    assert_int_equal(pool_of(begin(&plain)).slot_size, SLOT);
    assert_int_equal(pool_of(begin(&plain)).slots, SLOTS);
    /* One stream at a time may pause, so one slot at most is kept. */
    assert_int_equal(pool_of(begin(&serial)).slots, WHOLE_SLOTS);
}

/* Each stream that pauses keeps a slot: there have to be more of them, in no more memory. */
static void sinks_that_pause_have_many_small_slots(void **state)
{
    struct lb_pool_shape pool = pool_of(begin(&pausing));

    (void)state;
    assert_true(pool.slots > 10 * WHOLE_SLOTS);
    assert_true(pool.slot_size * pool.slots <= 2 << 20);
}

/* A slot is the least that comes at once, so a low rate wants small ones. */
static void a_rate_makes_slots_small(void **state)
{
    static const uint64_t rates[] = {1000, 200000, 1000000};

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct settled each = begin(&plain), total = begin(&plain);
        struct lb_pool_shape pool;

        each.config.rate_limit = total.config.total_rate_limit = rates[i];
        pool = pool_of(each);
        assert_true(pool.slot_size >= 4096);
        assert_true(pool.slot_size == 4096 || pool.slot_size <= rates[i] / 10);
        assert_true(pool.slots > SLOTS);
        assert_int_equal(pool_of(total).slot_size, pool.slot_size);
    }
}

static void a_high_rate_leaves_slots_alone(void **state)
{
    struct settled settled = begin(&plain);

    (void)state;
    settled.config.rate_limit = UINT64_C(1) << 40;
    assert_int_equal(pool_of(settled).slot_size, SLOT);
}

static void who_says_a_shape_has_it(void **state)
{
    struct settled settled = begin(&pausing);

    (void)state;
    settled.config.slot_size = 12345;
    settled.config.slots = 7;
    settled.config.rate_limit = 1000;
    assert_int_equal(pool_of(settled).slot_size, 12345);
    assert_int_equal(pool_of(settled).slots, 7);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void bounds_are_refused_beyond(void **state)
{
    struct settled at = begin(&plain), beyond = begin(&plain);

    (void)state;
    at.config.max_streams = LB_STREAMS_MAX;
    at.config.workers = LB_WORKERS_MAX;
    at.config.slot_size = LB_SLOT_SIZE_MAX;
    at.config.slots = LB_SLOTS_MAX;
    at.config.gather_max_us = LB_GATHER_US_MAX;
    at.config.keepalive_ms = LB_KEEPALIVE_MS_MAX;
    assert_int_equal(settle(&at), 0);
#define ASSERT_BEYOND(member, value, word)                                                         \
    do {                                                                                           \
        beyond = begin(&plain);                                                                    \
        beyond.config.member = (value) + 1;                                                        \
        assert_refused(beyond, word);                                                              \
    } while (0)
    ASSERT_BEYOND(max_streams, LB_STREAMS_MAX, "streams at once");
    ASSERT_BEYOND(workers, LB_WORKERS_MAX, "workers");
    ASSERT_BEYOND(slot_size, (size_t)LB_SLOT_SIZE_MAX, "slot");
    ASSERT_BEYOND(slots, LB_SLOTS_MAX, "slots");
    ASSERT_BEYOND(gather_max_us, LB_GATHER_US_MAX, "gathering");
    ASSERT_BEYOND(keepalive_ms, LB_KEEPALIVE_MS_MAX, "keepalive");
    ASSERT_BEYOND(unix_mode, 0777, "mode");
    ASSERT_BEYOND(greeting_size, LB_GREETING_MAX, "greeting");
}

static void nothing_to_do_is_refused(void **state)
{
    static const char *const nowhere[] = {NULL};
    struct settled settled = begin(&plain);

    (void)state;
    assert_refused(begin(NULL), "sink");
    settled.config.listen = nowhere;
    assert_refused(settled, "listen");
}

/* No stream could keep both. */
static void a_rate_below_the_least_is_refused(void **state)
{
    struct settled settled = begin(&plain);

    (void)state;
    settled.config.rate_limit = settled.config.min_rate = 1000;
    assert_int_equal(settle(&settled), 0);
    settled.config.min_rate++;
    assert_refused(settled, "least rate");
}

static void a_receipt_needs_an_algorithm(void **state)
{
    struct settled settled = begin(&plain);

    (void)state;
    settled.config.receipt = "crc32";
    assert_refused(settled, "crc32");
    settled.config.receipt = "xxh3";
    assert_int_equal(settle(&settled), 0);
    assert_non_null(settled.rules.receipt.algorithm);
    lb_digest_release(&settled.rules.receipt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(none_is_not_the_default),
        cmocka_unit_test(what_it_is_tuned_for),
        cmocka_unit_test(a_worker_that_could_have_no_stream_is_none),
        cmocka_unit_test(a_worker_without_descriptors_is_none),
        cmocka_unit_test(a_serial_sink_has_one_stream_at_a_time),
        cmocka_unit_test(the_backend_knows_what_suits_it),
        cmocka_unit_test(sinks_that_pause_have_many_small_slots),
        cmocka_unit_test(a_rate_makes_slots_small),
        cmocka_unit_test(a_high_rate_leaves_slots_alone),
        cmocka_unit_test(who_says_a_shape_has_it),
        cmocka_unit_test(bounds_are_refused_beyond),
        cmocka_unit_test(nothing_to_do_is_refused),
        cmocka_unit_test(a_rate_below_the_least_is_refused),
        cmocka_unit_test(a_receipt_needs_an_algorithm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
