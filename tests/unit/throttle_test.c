/* SPDX-License-Identifier: MIT */
/* Rates: what they cost by made-up times, and who waits and goes on in an engine. */
#include "unit.h"

#include "plan.h"
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define S UINT64_C(1000000000)

static void nothing_costs_nothing(void **state)
{
    const struct lb_rate rate = {.limit = 1000, .burst_ns = 0}, none = {0};
    _Atomic uint64_t account = 0;

    (void)state;
    assert_int_equal(lb_rate_cost_ns(&rate, 0), 0);
    assert_int_equal(lb_rate_cost_ns(&none, 1 << 30), 0);
    assert_int_equal(lb_rate_pay(&none, &account, 1 << 30, 5 * S), 5 * S);
    assert_int_equal(account, 0);
}

static void bytes_cost_their_time(void **state)
{
    static const struct {
        uint64_t limit, bytes, ns;
    } cases[] = {
        {1000, 1000, S},
        {1000, 1, S / 1000},
        {3, 1, S / 3},
        {1, 1 << 30, (UINT64_C(1) << 30) * S},
        {1 << 20, 1 << 30, 1024 * S},
        {UINT64_C(1) << 40, 1 << 30, S / 1024},
        {INT64_MAX, 1 << 30, 0},
        {UINT64_MAX, 1 << 30, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct lb_rate rate = {.limit = cases[i].limit};
        uint64_t cost = lb_rate_cost_ns(&rate, cases[i].bytes);

        /* Rounded up: never too many bytes. */
        if (cost <= cases[i].ns - (cases[i].ns > 0) || cost > cases[i].ns + 2)
            fail_msg("%llu bytes at %llu/s cost %llu ns", (unsigned long long)cases[i].bytes,
                     (unsigned long long)cases[i].limit, (unsigned long long)cost);
    }
}

static void a_burst_is_what_may_be_made_up(void **state)
{
    const struct lb_rate rate = {.limit = 1000, .burst_ns = S / 10};
    _Atomic uint64_t account = 0;

    (void)state;
    assert_int_equal(lb_rate_pay(&rate, &account, 99, 100 * S), 100 * S);
    assert_true(lb_rate_pay(&rate, &account, 2, 100 * S) > 100 * S);
    /* An hour later no more than the burst is there. */
    assert_int_equal(lb_rate_pay(&rate, &account, 99, 3700 * S), 3700 * S);
    assert_true(lb_rate_pay(&rate, &account, 2, 3700 * S) > 3700 * S);
}

/* Whatever the sizes and the times: never more than the rate, a burst and one piece; and hardly
 * less, if something is always there. */
static void the_rate_is_kept(void **state)
{
    const struct lb_rate rate = {.limit = 1000000, .burst_ns = S / 10};
    uint64_t random = 7, begin = 50 * S, now = begin, bytes = 0, late = 0;
    _Atomic uint64_t account = 0;
    double seconds;

    (void)state;
    while (now < begin + 20 * S) {
        uint64_t size = random_between(&random, 1, 30000);
        uint64_t due = lb_rate_pay(&rate, &account, size, now);

        bytes += size;
        late = random_between(&random, 0, S / 20);
        now = due > now ? due + late : now + 1000;
    }
    seconds = (double)(now - begin) / S;
    assert_true((double)bytes <= 1000000 * (seconds + 0.1) + 30000);
    assert_true((double)bytes >= 1000000 * (seconds - 0.1));
}

enum { PAYERS = 4, PAYMENTS = 20000 };

struct payer {
    pthread_t thread;
    struct lb_rate rate;
    _Atomic uint64_t *account;
};

static void *pay_often(void *argument)
{
    struct payer *payer = argument;

    for (int i = 0; i < PAYMENTS; i++)
        lb_rate_pay(&payer->rate, payer->account, 7, S);
    return NULL;
}

static void threads_share_an_account(void **state)
{
    struct payer payers[PAYERS];
    _Atomic uint64_t account = S;
    uint64_t cost;

    (void)state;
    for (int i = 0; i < PAYERS; i++) {
        payers[i] = (struct payer){.rate = {.limit = 1000}, .account = &account};
        assert_int_equal(pthread_create(&payers[i].thread, NULL, pay_often, &payers[i]), 0);
    }
    for (int i = 0; i < PAYERS; i++)
        pthread_join(payers[i].thread, NULL);
    cost = lb_rate_cost_ns(&payers[0].rate, 7);
    assert_int_equal(account, S + PAYERS * PAYMENTS * cost);
}

/* ---- in an engine ---------------------------------------------------------------------------- */

static struct rig *begin_limited(void **state, struct script_options options)
{
    struct rig *rig = *state;

    options.drain_ms = 60000;
    assert_int_equal(rig_init(rig, options), 0);
    return rig;
}

static struct rig *begin(void **state, uint64_t rate, uint64_t total, uint64_t count)
{
    return begin_limited(
        state, (struct script_options){.rate = rate, .total_rate = total, .count = count});
}

#define RUN(rig, ...)                                                                              \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        rig_run(rig, steps_, sizeof(steps_) / sizeof(steps_[0]));                                  \
        assert_string_equal((rig)->script.violation, "");                                          \
    } while (0)

/* A rate so low that no test lives to see the next piece. */
enum { HARDLY_ANY = 1 };

static void within_the_rate_nothing_changes(void **state)
{
    struct rig *rig = begin(state, UINT64_C(1) << 40, UINT64_C(1) << 40, 1);

    RUN(rig, ACCEPT, TURN, DATA(1, 10), TURN, DATA(1, 10), TURN, EOF_OF(1));
    assert_string_equal(rig->script.log, "open1 receive1 write1:10 back1 receive1 write1:10 back1 "
                                         "receive1 end1:eof forget1 ");
}

/* 400 bytes at 4,000 a second are 100 ms: the burst. One more and it waits. */
static void beyond_the_rate_it_waits(void **state)
{
    struct rig *rig = begin(state, 4000, 0, 1);
    uint64_t before = time_now_ns();

    RUN(rig, ACCEPT, TURN, DATA(1, 1000), TURN, TIMEOUT, TURN, EOF_OF(1));
    assert_string_equal(rig->script.log,
                        "open1 receive1 write1:1000 back1 receive1 end1:eof forget1 ");
    assert_true(time_now_ns() - before >= S / 1000 * 150);
}

static void others_do_not_wait(void **state)
{
    struct rig *rig = begin(state, HARDLY_ANY, 0, 2);

    RUN(rig, ACCEPT, ACCEPT, TURN, DATA(1, 4000), TURN, EOF_OF(2), TURN, STOP, TURN, STOP);
    assert_string_equal(rig->script.log, "open1 receive1 open2 receive2 write1:4000 back1 "
                                         "end2:eof forget2 end1:stopped forget1 ");
}

/* What one has had, the other may not have; not even one that has just come. */
static void all_share_a_total(void **state)
{
    struct rig *rig = begin(state, 0, HARDLY_ANY, 3);

    RUN(rig, ACCEPT, ACCEPT, TURN, DATA(1, 4000), TURN, DATA(2, 1), TURN, ACCEPT, TURN, STOP, TURN,
        STOP);
    assert_string_equal(rig->script.log,
                        "open1 receive1 open2 receive2 write1:4000 back1 write2:1 back2 open3 "
                        "end3:stopped forget3 end2:stopped forget2 end1:stopped forget1 ");
}

/* A stream that comes and has its piece; then the time alone goes on. */
static int play_one_piece(struct script *script, struct lb_event *events, unsigned max,
                          const struct lb_turn *turn)
{
    const struct timespec nap = {.tv_nsec = turn->timeout_ns > 0 ? (long)turn->timeout_ns : 0};

    (void)max;
    if (script->waits <= 2) {
        events[0] = script->waits == 1 ? script_accept(script) : script_data(script, 1, 4000);
        return 1;
    }
    if (turn->timeout_ns < 0)
        script_violate(script, "nobody would look at the time");
    nanosleep(&nap, NULL);
    return 0;
}

/* It is our doing, so it is not idle; but its time may be up. */
static void waiting_is_not_idle(void **state)
{
    struct script_options options = {.rate = HARDLY_ANY, .count = 1};
    struct rig *rig;

    lb_limits_init(&options.limits, &(struct lb_config){.idle_timeout_ms = 10,
                                                        .min_rate = 1000000,
                                                        .min_rate_window_ms = 20,
                                                        .max_time_ms = 80});
    rig = begin_limited(state, options);
    rig->script.play = play_one_piece;
    lb_worker_run(&rig->script.worker);
    script_check(&rig->script);
    assert_string_equal(rig->script.violation, "");
    assert_non_null(strstr(rig->script.notes, "timeout after 4000 bytes (max-time)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_costs_nothing),
        cmocka_unit_test(bytes_cost_their_time),
        cmocka_unit_test(a_burst_is_what_may_be_made_up),
        cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(threads_share_an_account),
        cmocka_unit_test_setup_teardown(within_the_rate_nothing_changes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(beyond_the_rate_it_waits, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(others_do_not_wait, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(all_share_a_total, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(waiting_is_not_idle, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
