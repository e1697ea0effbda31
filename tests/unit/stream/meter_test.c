/* SPDX-License-Identifier: MIT */
/* The meter: what it counts and digests, and when it looks at the time. */
#include "unit.h"

#include "meter.h"

#include <string.h>

#define MS UINT64_C(1000000)

static const struct lb_hold free_to_send, held = {.held = true};

/* FIPS 180-2, "abc". */
#define SHA256_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void it_digests_what_it_counts(void **state)
{
    struct lb_digest_method method = {0};
    struct lb_meter meter = {0};
    char text[LB_DIGEST_TEXT_SIZE];

    (void)state;
    assert_int_equal(lb_digest_choose(&method, "sha256"), 0);
    assert_int_equal(lb_meter_open(&meter, &method), 0);
    assert_int_equal(lb_meter_add(&meter, "a", 1), 0);
    assert_int_equal(lb_meter_add(&meter, "", 0), 0);
    assert_int_equal(lb_meter_add(&meter, "bc", 2), 0);
    assert_int_equal(meter.bytes, 3);
    assert_int_equal(lb_digest_finish(&meter.digest, text), 0);
    assert_string_equal(text, SHA256_OF_ABC);
    lb_meter_close(&meter);
    lb_digest_release(&method);
}

static void without_a_method_it_counts(void **state)
{
    const struct lb_digest_method none = {0};
    struct lb_meter meter = {0};

    (void)state;
    assert_int_equal(lb_meter_open(&meter, &none), 0);
    assert_int_equal(lb_meter_add(&meter, "abc", 3), 0);
    for (int i = 0; i < 5; i++)
        lb_meter_count(&meter, (size_t)1 << 30);
    assert_int_equal(meter.bytes, (UINT64_C(5) << 30) + 3);
    lb_meter_close(&meter);
}

static struct lb_limits limits_of(struct lb_config config)
{
    struct lb_limits limits;

    lb_limits_init(&limits, &config);
    return limits;
}

static void no_limit_of_time_no_look(void **state)
{
    const struct lb_limits limits = limits_of((struct lb_config){.max_bytes = 1});
    struct lb_meter meter = {0};

    (void)state;
    lb_meter_begin(&meter, &limits, 77 * MS);
    assert_int_equal(meter.look_ns, 0);
}

/* Whenever they began, one wake-up does for all of them. */
static void streams_are_looked_at_together(void **state)
{
    const struct lb_limits limits = limits_of((struct lb_config){.idle_timeout_ms = 800});
    struct lb_meter early = {0}, late = {0};

    (void)state;
    lb_meter_begin(&early, &limits, 5 * limits.period_ns);
    lb_meter_begin(&late, &limits, 6 * limits.period_ns - 1);
    assert_int_equal(early.look_ns, late.look_ns);
    assert_true(early.look_ns > 6 * limits.period_ns - 1);
    for (uint64_t now_ns = early.look_ns; now_ns < 12 * limits.period_ns; now_ns = early.look_ns) {
        /* One of them a little later in the turn. */
        assert_null(lb_meter_look(&early, &limits, free_to_send, now_ns));
        assert_null(lb_meter_look(&late, &limits, free_to_send, now_ns + limits.period_ns / 3));
        assert_int_equal(early.look_ns, late.look_ns);
        assert_true(early.look_ns > now_ns && early.look_ns <= now_ns + limits.period_ns);
    }
}

/* What was missed is not made up for. */
static void a_late_look_is_followed_by_one_in_time(void **state)
{
    const struct lb_limits limits = limits_of((struct lb_config){.idle_timeout_ms = 800});
    uint64_t late_ns = 1000 * limits.period_ns + 7;
    struct lb_meter meter = {0};

    (void)state;
    lb_meter_begin(&meter, &limits, 0);
    lb_meter_look(&meter, &limits, free_to_send, late_ns);
    assert_true(meter.look_ns > late_ns && meter.look_ns <= late_ns + limits.period_ns);
}

/* Looks until a limit is passed. Returns how long that took. */
static uint64_t look_until_passed(struct lb_meter *meter, const struct lb_limits *limits)
{
    const struct lb_verdict *passed = NULL;
    uint64_t begun_ns = meter->pace.looked_ns, now_ns = 0;

    for (int look = 0; look < 100 && !passed; look++) {
        now_ns = meter->look_ns;
        passed = lb_meter_look(meter, limits, free_to_send, now_ns);
    }
    assert_non_null(passed);
    assert_int_equal(passed->end, LB_END_TIMEOUT);
    return now_ns - begun_ns;
}

static void silence_passes_a_limit(void **state)
{
    const struct lb_limits limits = limits_of((struct lb_config){.idle_timeout_ms = 800});
    struct lb_meter meter = {0};
    uint64_t took_ns;

    (void)state;
    lb_meter_begin(&meter, &limits, 0);
    took_ns = look_until_passed(&meter, &limits);
    assert_true(took_ns >= 800 * MS && took_ns <= 800 * MS + 2 * limits.period_ns);
}

/* Held up by us, a peer can't send: its silence begins when it is let go, which may have been as
 * late as just before the next look. */
static void what_we_hold_up_is_not_silent(void **state)
{
    const struct lb_limits limits = limits_of((struct lb_config){.idle_timeout_ms = 800});
    struct lb_meter meter = {0};
    uint64_t took_ns;

    (void)state;
    lb_meter_begin(&meter, &limits, 0);
    for (int look = 0; look < 50; look++)
        assert_null(lb_meter_look(&meter, &limits, held, meter.look_ns));
    took_ns = look_until_passed(&meter, &limits);
    assert_true(took_ns >= 800 * MS + limits.period_ns);
    assert_true(took_ns <= 800 * MS + 3 * limits.period_ns);
}

/* What it has sent and we have not received yet counts as sent, and once. */
static void what_waits_is_sent(void **state)
{
    const struct lb_limits limits = limits_of((struct lb_config){.idle_timeout_ms = 800});
    struct lb_hold hold = {.waiting = 1};
    struct lb_meter meter = {0};
    uint64_t took_ns;

    (void)state;
    lb_meter_begin(&meter, &limits, 0);
    for (int look = 0; look < 50; look++, hold.waiting++)
        assert_null(lb_meter_look(&meter, &limits, hold, meter.look_ns));
    lb_meter_count(&meter, hold.waiting - 1);
    took_ns = look_until_passed(&meter, &limits);
    assert_true(took_ns >= 800 * MS - limits.period_ns && took_ns <= 800 * MS + limits.period_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_digests_what_it_counts),
        cmocka_unit_test(without_a_method_it_counts),
        cmocka_unit_test(no_limit_of_time_no_look),
        cmocka_unit_test(streams_are_looked_at_together),
        cmocka_unit_test(a_late_look_is_followed_by_one_in_time),
        cmocka_unit_test(silence_passes_a_limit),
        cmocka_unit_test(what_we_hold_up_is_not_silent),
        cmocka_unit_test(what_waits_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
