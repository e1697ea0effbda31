/* SPDX-License-Identifier: MIT */
/* Unit tests of s3/memory.c: nobody waits for somebody who waits, and no block is two streams'. */
#include "tools/command/s3/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCK = S3_BLOCK_SIZE, PART = 4, MOST = 6 * PART, STREAMS = 40, BLOCKS_MAX = 400 };

static uint64_t woken[1000];
static size_t woken_count;

static void wake(void *context, uint64_t id)
{
    (void)context;
    woken[woken_count++ % 1000] = id;
}

/* Parts of 4 blocks. */
static struct s3_memory *open_memory(size_t blocks)
{
    struct s3_memory *memory = s3_memory_open(blocks * BLOCK, (size_t)PART * BLOCK, wake, NULL);

    assert_non_null(memory);
    woken_count = 0;
    return memory;
}

struct taker {
    struct s3_lease lease;
    void *blocks[BLOCKS_MAX];
};

static unsigned take_all(struct s3_memory *memory, struct taker *taker, unsigned most)
{
    void *block;

    while (taker->lease.used < most && (block = s3_memory_take(memory, &taker->lease)))
        taker->blocks[taker->lease.used - 1] = block;
    return taker->lease.used;
}

static void give_one(struct s3_memory *memory, struct taker *taker)
{
    s3_memory_give(memory, &taker->lease, taker->blocks[taker->lease.used - 1]);
}

static void leave(struct s3_memory *memory, struct taker *taker)
{
    s3_memory_ask_no_more(memory, &taker->lease);
    while (taker->lease.used > 0)
        give_one(memory, taker);
    s3_memory_leave(memory, &taker->lease);
}

static void two_parts_are_enough_for_one(void **state)
{
    struct s3_memory *memory = open_memory(2 * (size_t)PART);
    struct taker one = {.lease.id = 1}, two = {.lease.id = 2};

    (void)state;
    assert_int_equal(2 * PART, take_all(memory, &one, BLOCKS_MAX));
    assert_int_equal(0, take_all(memory, &two, BLOCKS_MAX));
    give_one(memory, &one);
    assert_int_equal(1, woken_count); /* its own is free again */
    assert_int_equal(1, woken[0]);
    assert_int_equal(2 * PART, take_all(memory, &one, BLOCKS_MAX));
    leave(memory, &one);
    assert_int_equal(2, woken_count);
    assert_int_equal(2, woken[1]);
    assert_int_equal(2 * PART, take_all(memory, &two, BLOCKS_MAX));
    leave(memory, &two);
    s3_memory_close(memory);
}

/* Many with one block each never keep those from going on who need more. */
static void first_blocks_have_a_share(void **state)
{
    struct s3_memory *memory = open_memory(48);
    struct taker *takers = calloc(STREAMS, sizeof(*takers));
    unsigned have = 0, finished = 0;

    (void)state;
    for (unsigned i = 0; i < STREAMS; i++) {
        takers[i].lease.id = i + 1;
        have += take_all(memory, &takers[i], 1);
    }
    /* A quarter of what is beyond two parts, and two parts each for the next. */
    assert_int_equal(10 + 38 / (2 * PART), have);
    /* In their turn, all of them come to fill two parts. */
    for (unsigned round = 0; round < STREAMS && finished < STREAMS; round++) {
        for (unsigned i = 0; i < STREAMS; i++) {
            if (takers[i].lease.id == 0 || take_all(memory, &takers[i], 2 * PART) < 2 * PART)
                continue;
            leave(memory, &takers[i]);
            takers[i].lease.id = 0;
            finished++;
        }
    }
    assert_int_equal(STREAMS, finished);
    free(takers);
    s3_memory_close(memory);
}

static void what_nobody_waits_for_may_be_used(void **state)
{
    struct s3_memory *memory = open_memory(100);
    struct taker one = {.lease.id = 1}, *others = calloc(STREAMS, sizeof(*others));
    unsigned with = 0;

    (void)state;
    assert_int_equal(MOST, take_all(memory, &one, BLOCKS_MAX));
    for (unsigned i = 0; i < STREAMS; i++) {
        others[i].lease.id = i + 2;
        with += take_all(memory, &others[i], 2 * PART) == 2 * PART;
    }
    /* Somebody waits now: what comes back goes there first. */
    while (one.lease.used > 2 * PART)
        give_one(memory, &one);
    assert_int_equal(2 * PART, take_all(memory, &one, BLOCKS_MAX));
    leave(memory, &one);
    for (unsigned i = 0; i < STREAMS; i++)
        leave(memory, &others[i]);
    assert_true(with > 0 && with < STREAMS);
    free(others);
    s3_memory_close(memory);
}

static void parts_grow_while_nobody_waits(void **state)
{
    struct s3_memory *memory = open_memory(56);
    struct taker one = {.lease.id = 1}, two = {.lease.id = 2}, three = {.lease.id = 3};
    const size_t part = (size_t)PART * BLOCK;

    (void)state;
    take_all(memory, &one, 2);
    assert_int_equal(part, s3_memory_grow(memory, &one.lease, part));
    assert_int_equal(4 * part, s3_memory_grow(memory, &one.lease, 4 * part));
    assert_int_equal(4 * part, s3_memory_grow(memory, &one.lease, 100 * part)); /* not so much */
    assert_int_equal(8 * PART, take_all(memory, &one, 8 * PART));
    /* The next has room, one more has to wait, and the first makes room for it. */
    assert_int_equal(2 * PART, take_all(memory, &two, 2 * PART));
    take_all(memory, &three, 2);
    assert_int_equal(1, three.lease.used);
    assert_int_equal(part, s3_memory_grow(memory, &one.lease, 4 * part));
    while (one.lease.used > 2 * PART)
        give_one(memory, &one);
    assert_int_equal(2 * PART, take_all(memory, &three, 2 * PART));
    leave(memory, &one);
    leave(memory, &two);
    leave(memory, &three);
    s3_memory_close(memory);
}

/* Whatever they do, no block is in two hands, and in the end all is there again. */
static void dice(void **state)
{
    struct s3_memory *memory = open_memory(80);
    struct taker *takers = calloc(STREAMS, sizeof(*takers));
    unsigned seed = 1;

    (void)state;
    for (unsigned i = 0; i < STREAMS; i++)
        takers[i].lease.id = i + 1;
    for (unsigned round = 0; round < 20000; round++) {
        struct taker *taker = &takers[(seed >> 16) % STREAMS];

        seed = seed * 1103515245 + 12345;
        switch ((seed >> 20) % 8) {
        case 0:
            leave(memory, taker);
            break;
        case 1:
        case 2:
            if (taker->lease.used > 0)
                give_one(memory, taker);
            break;
        case 3:
            s3_memory_grow(memory, &taker->lease, (size_t)BLOCK * (1 + (seed >> 24) % 20));
            break;
        default:
            if (take_all(memory, taker, taker->lease.used + 1) > 0)
                memset(taker->blocks[taker->lease.used - 1], (int)taker->lease.id, 16);
        }
        for (unsigned i = 0; i < taker->lease.used; i++)
            assert_int_equal(taker->lease.id, *(uint8_t *)taker->blocks[i]);
    }
    for (unsigned i = 0; i < STREAMS; i++)
        leave(memory, &takers[i]);
    assert_int_equal(MOST, take_all(memory, &takers[0], BLOCKS_MAX));
    leave(memory, &takers[0]);
    free(takers);
    s3_memory_close(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_parts_are_enough_for_one),
        cmocka_unit_test(first_blocks_have_a_share),
        cmocka_unit_test(what_nobody_waits_for_may_be_used),
        cmocka_unit_test(parts_grow_while_nobody_waits),
        cmocka_unit_test(dice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
