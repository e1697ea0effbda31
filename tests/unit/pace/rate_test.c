/* SPDX-License-Identifier: MIT */
/* Rates: what bytes cost, by made-up times. */
#include "unit.h"

#include "rate.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_costs_nothing),          cmocka_unit_test(bytes_cost_their_time),
        cmocka_unit_test(a_burst_is_what_may_be_made_up), cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(threads_share_an_account),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
