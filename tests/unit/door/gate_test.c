/* SPDX-License-Identifier: MIT */
/* The gate: never more streams at once than allowed, never more in all than asked for. */
#include "unit.h"

#include "gate.h"
#include "support.h"

#include <pthread.h>
#include <sched.h>

static void counts_the_room(void **state)
{
    struct lb_gate gate = {.max_streams = 3};

    (void)state;
    assert_int_equal(lb_gate_room(&gate), 3);
    assert_true(lb_gate_claim(&gate));
    assert_int_equal(lb_gate_room(&gate), 2);
    assert_true(lb_gate_claim(&gate));
    assert_true(lb_gate_claim(&gate));
    assert_int_equal(lb_gate_room(&gate), 0);
    assert_false(lb_gate_claim(&gate));
    assert_int_equal(gate.active, 3);
    lb_gate_release(&gate, true);
    assert_int_equal(lb_gate_room(&gate), 1);
    assert_true(lb_gate_claim(&gate));
    assert_false(lb_gate_claim(&gate));
}

static void never_finishes_without_a_count(void **state)
{
    struct lb_gate gate = {.max_streams = 1};

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_true(lb_gate_claim(&gate));
        lb_gate_release(&gate, true);
        assert_false(lb_gate_finished(&gate));
    }
}

static void a_count_limits_the_room(void **state)
{
    struct lb_gate gate = {.max_streams = 10, .count = 3};

    (void)state;
    assert_int_equal(lb_gate_room(&gate), 3);
    for (unsigned left = 3; left > 0; left--) {
        assert_int_equal(lb_gate_room(&gate), left);
        assert_true(lb_gate_claim(&gate));
    }
    assert_int_equal(lb_gate_room(&gate), 0);
    assert_false(lb_gate_claim(&gate));
    /* Ended streams make room, but no new one may begin. */
    for (int i = 0; i < 3; i++) {
        assert_false(lb_gate_finished(&gate));
        lb_gate_release(&gate, true);
        assert_int_equal(lb_gate_room(&gate), 0);
        assert_false(lb_gate_claim(&gate));
    }
    assert_true(lb_gate_finished(&gate));
    assert_int_equal(gate.active, 0);
    assert_int_equal(gate.claimed, 3);
}

static void a_count_may_exceed_what_fits_at_once(void **state)
{
    struct lb_gate gate = {.max_streams = 2, .count = UINT64_MAX};

    (void)state;
    assert_int_equal(lb_gate_room(&gate), 2);
    assert_true(lb_gate_claim(&gate));
    assert_true(lb_gate_claim(&gate));
    assert_false(lb_gate_claim(&gate));
    lb_gate_release(&gate, true);
    assert_int_equal(lb_gate_room(&gate), 1);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, MAX_STREAMS = 3, COUNT = 2000 };

struct crowd {
    struct lb_gate gate;
    _Atomic unsigned inside, most;
    _Atomic unsigned claims;
};

static void note_most(struct crowd *crowd, unsigned inside)
{
    unsigned most = atomic_load(&crowd->most);

    while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside))
        continue;
}

static void *claim_and_release(void *argument)
{
    struct crowd *crowd = argument;

    while (!lb_gate_finished(&crowd->gate)) {
        if (!lb_gate_claim(&crowd->gate)) {
            sched_yield();
            continue;
        }
        atomic_fetch_add(&crowd->claims, 1);
        note_most(crowd, atomic_fetch_add(&crowd->inside, 1) + 1);
        sched_yield();
        atomic_fetch_sub(&crowd->inside, 1);
        lb_gate_release(&crowd->gate, true);
    }
    return NULL;
}

static void holds_against_threads(void **state)
{
    struct crowd crowd = {.gate = {.max_streams = MAX_STREAMS, .count = COUNT}};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, claim_and_release, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.claims, COUNT);
    assert_int_equal(crowd.gate.ended, COUNT);
    assert_int_equal(crowd.gate.active, 0);
    assert_true(crowd.most <= MAX_STREAMS);
}

enum { ASKS = 200000 };

struct asker {
    struct lb_gate gate;
    atomic_bool over;
};

static void *ask_in_vain(void *argument)
{
    struct asker *asker = argument;
    unsigned claimed = 0;

    for (unsigned i = scale_count(ASKS, ASKS / 20); i > 0; i--)
        claimed += lb_gate_claim(&asker->gate) + lb_gate_claim_entrance(&asker->gate);
    atomic_store(&asker->over, true);
    return (void *)(uintptr_t)claimed;
}

/* Else a lane that asks just then, when the place has become free, finds none: and who made room
 * has woken those who wait already. */
static void who_is_refused_takes_no_place_meanwhile(void **state)
{
    struct asker asker = {.gate = {.max_streams = 1, .max_entering = 1}};
    unsigned beyond = 0;
    pthread_t thread;
    void *claimed;

    (void)state;
    assert_true(lb_gate_claim(&asker.gate));
    assert_true(lb_gate_claim_entrance(&asker.gate));
    assert_int_equal(pthread_create(&thread, NULL, ask_in_vain, &asker), 0);
    while (!atomic_load(&asker.over))
        beyond += atomic_load(&asker.gate.active) > 1 || atomic_load(&asker.gate.entering) > 1;
    pthread_join(thread, &claimed);
    assert_null(claimed);
    assert_int_equal(beyond, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_the_room),
        cmocka_unit_test(never_finishes_without_a_count),
        cmocka_unit_test(a_count_limits_the_room),
        cmocka_unit_test(a_count_may_exceed_what_fits_at_once),
        cmocka_unit_test(holds_against_threads),
        cmocka_unit_test(who_is_refused_takes_no_place_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
