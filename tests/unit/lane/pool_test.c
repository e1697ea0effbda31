/* SPDX-License-Identifier: MIT */
/* The pool: each slot back exactly once, lent bytes accounted for, everything else poisoned. */
#include "unit.h"

#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORKING = 5, RESERVE = 3, SLOTS = WORKING + RESERVE };

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int setup(void **state)
{
    struct lb_pool *pool = malloc(sizeof(*pool));

    *state = pool;
    return lb_pool_init(pool, page_size(), WORKING, RESERVE);
}

static int teardown(void **state)
{
    lb_pool_done(*state);
    free(*state);
    return 0;
}

static unsigned take(struct lb_pool *pool)
{
    unsigned slot = 0;

    assert_true(lb_pool_take(pool, &slot));
    assert_true(slot < pool->count);
    return slot;
}

static void rounds_up_to_a_page(void **state)
{
    const struct {
        size_t asked, pages;
    } cases[] = {{1, 1}, {page_size() - 1, 1}, {page_size(), 1}, {page_size() + 1, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lb_pool pool;

        assert_int_equal(lb_pool_init(&pool, cases[i].asked, 2, 1), 0);
        assert_int_equal(pool.slot_size, cases[i].pages * page_size());
        assert_int_equal(pool.count, 3);
        assert_int_equal(pool.working, 2);
        assert_int_equal((uintptr_t)pool.base % page_size(), 0);
        lb_pool_done(&pool);
    }
}

static void refuses_what_does_not_fit(void **state)
{
    const struct {
        size_t slot_size;
        unsigned working, reserve;
        int result;
    } cases[] = {
        {SIZE_MAX, 1, 0, -EOVERFLOW},
        {SIZE_MAX / 2, 4, 0, -EOVERFLOW},
        {4096, UINT32_MAX, 1, -EOVERFLOW},
        {SIZE_MAX - 65536, 1, 0, -ENOMEM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lb_pool pool;

        assert_int_equal(
            lb_pool_init(&pool, cases[i].slot_size, cases[i].working, cases[i].reserve),
            cases[i].result);
        /* Nothing is left behind, and done does no harm. */
        assert_null(pool.base);
        assert_null(pool.free);
        assert_null(pool.slots);
        lb_pool_done(&pool);
    }
}

static void gives_each_slot_once(void **state)
{
    struct lb_pool *pool = *state;
    bool seen[SLOTS] = {false};
    unsigned slot;

    for (unsigned i = 0; i < SLOTS; i++) {
        slot = take(pool);
        assert_false(seen[slot]);
        seen[slot] = true;
        assert_ptr_equal(lb_pool_data(pool, slot), pool->base + slot * pool->slot_size);
        assert_int_equal(lb_pool_slot(pool, lb_pool_data(pool, slot)), slot);
        assert_int_equal(lb_pool_slot(pool, lb_pool_data(pool, slot) + pool->slot_size - 1), slot);
    }
    assert_false(lb_pool_take(pool, &slot));
    assert_int_equal(pool->free_count, 0);
}

/* Readiness backends want the slot that is still in the cache. */
static void gives_the_warmest_slot_first(void **state)
{
    struct lb_pool *pool = *state;
    unsigned a = take(pool), b = take(pool), c = take(pool);

    lb_pool_put(pool, b);
    lb_pool_put(pool, a);
    assert_int_equal(take(pool), a);
    assert_int_equal(take(pool), b);
    lb_pool_put(pool, c);
    assert_int_equal(take(pool), c);
}

static void lends_parts_of_a_slot(void **state)
{
    struct lb_pool *pool = *state;
    unsigned slot = take(pool);
    uint8_t *data = lb_pool_data(pool, slot);

    lb_pool_lend(pool, data, 100);
    lb_pool_lend(pool, data + 100, pool->slot_size - 100);
    assert_int_equal(pool->slots[slot].lent, pool->slot_size);
    lb_pool_regain(pool, data + 100, pool->slot_size - 100);
    assert_int_equal(pool->slots[slot].lent, 100);
    lb_pool_regain(pool, data, 100);
    assert_int_equal(pool->slots[slot].lent, 0);
    lb_pool_put(pool, slot);
    assert_int_equal(pool->free_count, SLOTS);
}

static void lends_a_run_of_neighbours(void **state)
{
    struct lb_pool *pool = *state;
    size_t size = pool->slot_size + 20; /* the last 10 of one, all of the next, 10 of another */
    uint8_t *data;

    for (unsigned i = 0; i < SLOTS; i++)
        take(pool);
    data = lb_pool_data(pool, 3) - 10;
    lb_pool_lend(pool, data, size);
    assert_int_equal(pool->slots[1].lent, 0);
    assert_int_equal(pool->slots[2].lent, 10);
    assert_int_equal(pool->slots[3].lent, pool->slot_size);
    assert_int_equal(pool->slots[4].lent, 10);
    assert_int_equal(pool->slots[5].lent, 0);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)i;
    lb_pool_regain(pool, data, size);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        assert_int_equal(pool->slots[slot].lent, 0);
        lb_pool_put(pool, slot);
    }
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static void put_twice(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_put(argument, slot);
    lb_pool_put(argument, slot);
}

static void put_what_was_never_taken(void *argument)
{
    lb_pool_put(argument, 0);
}

static void put_what_does_not_exist(void *argument)
{
    lb_pool_put(argument, SLOTS);
}

static void put_what_is_lent(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(argument, slot), 1);
    lb_pool_put(argument, slot);
}

static void lend_a_free_slot(void *argument)
{
    lb_pool_lend(argument, lb_pool_data(argument, 0), 1);
}

static void lend_into_a_free_neighbour(void *argument)
{
    const struct lb_pool *pool = argument;
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(pool, slot), pool->slot_size + 1);
}

static void lend_twice(void *argument)
{
    const struct lb_pool *pool = argument;
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(pool, slot), pool->slot_size);
    lb_pool_lend(argument, lb_pool_data(pool, slot), 1);
}

static void regain_twice(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(argument, slot), 10);
    lb_pool_regain(argument, lb_pool_data(argument, slot), 10);
    lb_pool_regain(argument, lb_pool_data(argument, slot), 10);
}

static void regain_more_than_was_lent(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(argument, slot), 10);
    lb_pool_regain(argument, lb_pool_data(argument, slot), 11);
}

static void asserts_on_misuse(void **state)
{
    void (*const misuses[])(void *) = {
        put_twice,
        put_what_was_never_taken,
        put_what_does_not_exist,
        put_what_is_lent,
        lend_a_free_slot,
        lend_into_a_free_neighbour,
        lend_twice,
        regain_twice,
        regain_more_than_was_lent,
    };

    SKIP_IF(!has_assertions(), "built without assertions");
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++)
        assert_misuse(misuses[i], *state);
}

/* ---- poison ---------------------------------------------------------------------------------- */

static volatile uint8_t seen;

static void read_lent(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(argument, slot), 64);
    seen = lb_pool_data(argument, slot)[63];
}

static void read_behind_lent(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(argument, slot), 64);
    seen = lb_pool_data(argument, slot)[64];
}

static void read_free(void *argument)
{
    seen = lb_pool_data(argument, 0)[0];
}

static void read_taken(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    seen = lb_pool_data(argument, slot)[0];
}

/* What a sink that keeps a pointer does. */
static void read_given_back(void *argument)
{
    unsigned slot;

    lb_pool_take(argument, &slot);
    lb_pool_lend(argument, lb_pool_data(argument, slot), 64);
    lb_pool_regain(argument, lb_pool_data(argument, slot), 64);
    seen = lb_pool_data(argument, slot)[0];
}

static void poisons_what_is_not_lent(void **state)
{
    void (*const misuses[])(void *) = {read_behind_lent, read_free, read_taken, read_given_back};

    SKIP_IF(!has_address_sanitizer(), "built without AddressSanitizer");
    assert_int_equal(child_run(read_lent, *state), CHILD_RETURNED);
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++)
        assert_int_equal(child_run(misuses[i], *state), CHILD_POISONED);
}

/* A later mapping at the same place must not meet old poison. */
static void done_leaves_no_poison(void **state)
{
    struct lb_pool pool;
    uint8_t *base, *memory;
    size_t size;

    (void)state;
    assert_int_equal(lb_pool_init(&pool, page_size(), 4, 0), 0);
    base = pool.base;
    size = pool.slot_size * pool.count;
    lb_pool_done(&pool);
    memory = mmap(base, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    SKIP_IF(memory == MAP_FAILED, "the place is in use by now");
    for (size_t at = 0; at < size; at += 64)
        memory[at] = 1;
    munmap(memory, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_up_to_a_page),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test_setup_teardown(gives_each_slot_once, setup, teardown),
        cmocka_unit_test_setup_teardown(gives_the_warmest_slot_first, setup, teardown),
        cmocka_unit_test_setup_teardown(lends_parts_of_a_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(lends_a_run_of_neighbours, setup, teardown),
        cmocka_unit_test_setup_teardown(asserts_on_misuse, setup, teardown),
        cmocka_unit_test_setup_teardown(poisons_what_is_not_lent, setup, teardown),
        cmocka_unit_test(done_leaves_no_poison),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
