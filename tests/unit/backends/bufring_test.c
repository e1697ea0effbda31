/* SPDX-License-Identifier: MIT */
/*
 * The ring of slots: contiguous parts, wrap-around, and slots that come back in any order. First
 * the test plays the kernel, so that every turn is known; then the kernel plays itself.
 */
#include "unit.h"

#include "support.h"

#include "bufring.h"
#include "uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOT_SIZE = 4096, HELD_MAX = 256, TURNS = 5000, TURNS_SMALL = 500 };

struct part {
    uint8_t *data;
    size_t size;
};

struct rig {
    struct io_uring uring;
    struct lb_pool pool;
    struct lb_bufring ring;
    struct part held[HELD_MAX];
    unsigned held_count;

    /* What the kernel knows. */
    uint16_t head;
    size_t filled; /* of the slot at head, if slots are filled incrementally */
};

static bool usable;

static int probe(void **state)
{
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    usable = lb_uring_probe(NULL, &error) == 0;
    if (!usable)
        print_message("io_uring can't be used: %s\n", error.text);
    return 0;
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return 0;
}

static void end(struct rig *rig)
{
    if (rig->pool.base) {
        io_uring_queue_exit(&rig->uring);
        lb_bufring_close(&rig->ring);
        lb_pool_done(&rig->pool);
    }
    memset(rig, 0, sizeof(*rig));
}

static int teardown(void **state)
{
    end(*state);
    free(*state);
    return 0;
}

static void begin(struct rig *rig, unsigned working, unsigned reserve, bool incremental)
{
    assert_int_equal(lb_uring_create(&rig->uring, 8, 64, false, NULL), 0);
    assert_int_equal(lb_pool_init(&rig->pool, SLOT_SIZE, working, reserve), 0);
    assert_int_equal(lb_bufring_open(&rig->ring, &rig->uring, &rig->pool, incremental), 0);
}

static void give_back(struct rig *rig, unsigned index)
{
    struct part part = rig->held[index];

    rig->held[index] = rig->held[--rig->held_count];
    lb_bufring_give_back(&rig->ring, part.data, part.size);
}

/* Every slot is in the ring or in the pool. */
static void assert_complete(struct rig *rig)
{
    while (rig->held_count > 0)
        give_back(rig, rig->held_count - 1);
    lb_bufring_publish(&rig->ring);
    assert_int_equal(lb_bufring_provided(&rig->ring) + rig->pool.free_count, rig->pool.count);
    assert_int_equal(lb_bufring_provided(&rig->ring), rig->pool.working);
    for (unsigned i = 0; i < rig->pool.count; i++)
        assert_int_equal(rig->pool.slots[i].lent, 0);
}

/* ---- the test as the kernel ------------------------------------------------------------------ */

static const struct io_uring_buf *entry(const struct rig *rig, unsigned place)
{
    return &rig->ring.ring->bufs[place & (rig->ring.entries - 1)];
}

static unsigned available(const struct rig *rig)
{
    return (uint16_t)(rig->ring.ring->tail - rig->head);
}

/* Puts size bytes into the ring as the kernel does, and says where. Returns how many pieces. */
static unsigned fill(struct rig *rig, size_t size, unsigned *slot, struct part *pieces)
{
    unsigned count = 0;

    *slot = entry(rig, rig->head)->bid;
    while (size > 0) {
        const struct io_uring_buf *buffer = entry(rig, rig->head);
        size_t left = SLOT_SIZE - rig->filled;
        size_t size_here = size < left ? size : left;

        assert_true(available(rig) > 0);
        assert_int_equal(buffer->len, SLOT_SIZE);
        assert_ptr_equal((uint8_t *)(uintptr_t)buffer->addr, lb_pool_data(&rig->pool, buffer->bid));
        pieces[count++] =
            (struct part){(uint8_t *)(uintptr_t)buffer->addr + rig->filled, size_here};
        rig->filled += size_here;
        size -= size_here;
        if (rig->filled == SLOT_SIZE || !rig->ring.incremental) {
            rig->filled = 0;
            rig->head++;
        }
    }
    return count;
}

/* Receives size bytes, and checks that the parts are the kernel's pieces, neighbours joined. */
static unsigned receive(struct rig *rig, size_t size)
{
    struct part pieces[64] = {{0}};
    unsigned slot, count = fill(rig, size, &slot, pieces), piece = 0, parts = 0;

    for (; size > 0; parts++) {
        size_t part_size = 0, joined = pieces[piece].size;
        uint8_t *data = lb_bufring_consume(&rig->ring, &slot, &size, &part_size);

        assert_ptr_equal(data, pieces[piece].data);
        for (piece++; piece < count && pieces[piece].data == data + joined; piece++)
            joined += pieces[piece].size;
        assert_int_equal(part_size, joined);
        assert_true(rig->held_count < HELD_MAX);
        rig->held[rig->held_count++] = (struct part){data, part_size};
    }
    assert_int_equal(piece, count);
    return parts;
}

static void provides_the_working_set(void **state)
{
    static const struct {
        unsigned working, reserve, entries;
    } cases[] = {{1, 0, 1}, {4, 0, 4}, {5, 3, 8}, {8, 100, 8}, {9, 1, 16}};
    struct rig *rig = *state;

    SKIP_IF(!usable, "no io_uring");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(rig, cases[i].working, cases[i].reserve, false);
        assert_int_equal(rig->ring.entries, cases[i].entries);
        assert_int_equal(available(rig), 0);
        lb_bufring_publish(&rig->ring);
        assert_int_equal(available(rig), cases[i].working);
        assert_int_equal(rig->pool.free_count, cases[i].reserve);
        lb_bufring_publish(&rig->ring);
        assert_int_equal(available(rig), cases[i].working);
        assert_complete(rig);
        end(rig);
    }
}

static void refuses_too_many_slots(void **state)
{
    struct rig *rig = *state;

    SKIP_IF(!usable, "no io_uring");
    assert_int_equal(lb_uring_create(&rig->uring, 8, 64, false, NULL), 0);
    assert_int_equal(lb_pool_init(&rig->pool, SLOT_SIZE, LB_BUFRING_MAX + 1, 0), 0);
    assert_int_equal(lb_bufring_open(&rig->ring, &rig->uring, &rig->pool, false), -E2BIG);
}

static void joins_neighbours(void **state)
{
    struct rig *rig = *state;

    SKIP_IF(!usable, "no io_uring");
    begin(rig, 8, 0, false);
    lb_bufring_publish(&rig->ring);
    assert_int_equal(receive(rig, 3 * SLOT_SIZE + 1), 1);
    assert_int_equal(receive(rig, 1), 1);
    assert_int_equal(receive(rig, 2 * SLOT_SIZE), 1);
    /* The ring is used up to its last slot but one: these two are not neighbours. */
    give_back(rig, 0);
    lb_bufring_publish(&rig->ring);
    assert_int_equal(receive(rig, 2 * SLOT_SIZE), 2);
    assert_complete(rig);
}

/* The order is what the kernel follows, not the place in memory. */
static void follows_the_order_of_coming_back(void **state)
{
    struct rig *rig = *state;

    SKIP_IF(!usable, "no io_uring");
    begin(rig, 4, 0, false);
    lb_bufring_publish(&rig->ring);
    for (int i = 0; i < 4; i++)
        receive(rig, SLOT_SIZE);
    /* 3, 0, 2, 1 */
    give_back(rig, 3);
    give_back(rig, 0);
    give_back(rig, 0);
    give_back(rig, 0);
    lb_bufring_publish(&rig->ring);
    assert_int_equal(receive(rig, 4 * SLOT_SIZE), 4);
    assert_complete(rig);
}

static void the_reserve_replaces_what_is_held(void **state)
{
    struct rig *rig = *state;

    SKIP_IF(!usable, "no io_uring");
    begin(rig, 4, 6, false);
    for (int i = 0; i < 6; i++) {
        lb_bufring_publish(&rig->ring);
        assert_int_equal(lb_bufring_provided(&rig->ring), 4);
        receive(rig, 100);
    }
    lb_bufring_publish(&rig->ring);
    assert_int_equal(rig->pool.free_count, 0);
    for (int i = 0; i < 4; i++)
        receive(rig, 100);
    lb_bufring_publish(&rig->ring);
    assert_int_equal(available(rig), 0);
    /* What comes back fills the ring first, then the pool. */
    for (unsigned i = 0; i < 10; i++) {
        give_back(rig, 0);
        lb_bufring_publish(&rig->ring);
        assert_int_equal(available(rig), i < 4 ? i + 1 : 4);
    }
    assert_int_equal(rig->pool.free_count, 6);
    assert_complete(rig);
}

static void fills_a_slot_by_parts(void **state)
{
    struct rig *rig = *state;

    SKIP_IF(!usable || !lb_uring_modes().incremental, "no incremental buffers");
    begin(rig, 2, 0, true);
    lb_bufring_publish(&rig->ring);
    assert_int_equal(receive(rig, 1000), 1);
    assert_int_equal(receive(rig, 1000), 1);
    assert_ptr_equal(rig->held[1].data, rig->held[0].data + 1000);
    assert_int_equal(receive(rig, SLOT_SIZE), 1); /* to the end of one, and into the other */
    /* The first slot is done with only when its last part is back. */
    give_back(rig, 2);
    assert_int_equal(lb_bufring_provided(&rig->ring), 1);
    give_back(rig, 0);
    assert_int_equal(lb_bufring_provided(&rig->ring), 1);
    give_back(rig, 0);
    assert_int_equal(lb_bufring_provided(&rig->ring), 2);
    assert_complete(rig);
}

/* The kernel may leave a slot that it has not filled, and does not say so. */
static void catches_up_with_the_kernel(void **state)
{
    struct rig *rig = *state;

    SKIP_IF(!usable || !lb_uring_modes().incremental, "no incremental buffers");
    begin(rig, 4, 0, true);
    lb_bufring_publish(&rig->ring);
    receive(rig, 10);
    rig->head++;
    rig->filled = 0;
    receive(rig, 20);
    assert_int_equal(lb_bufring_provided(&rig->ring), 3);
    /* Two at once, one of them empty. */
    rig->head += 2;
    rig->filled = 0;
    receive(rig, 30);
    assert_complete(rig);
}

static void skips_what_was_used_for_nothing(void **state)
{
    struct rig *rig = *state;

    SKIP_IF(!usable, "no io_uring");
    begin(rig, 2, 1, false);
    lb_bufring_publish(&rig->ring);
    for (int i = 0; i < 7; i++) {
        lb_bufring_skip(&rig->ring, entry(rig, rig->head)->bid);
        rig->head++;
        lb_bufring_publish(&rig->ring);
        assert_int_equal(available(rig), 2);
    }
    receive(rig, 2 * SLOT_SIZE);
    assert_complete(rig);
}

static void play_randomly(struct rig *rig, bool incremental, uint64_t seed)
{
    unsigned turns = scale_count(TURNS, TURNS_SMALL);
    uint64_t random = seed;

    begin(rig, 5, 4, incremental);
    for (unsigned turn = 0; turn < turns; turn++) {
        unsigned slots = available(rig);

        switch (random_next(&random) % 5) {
        case 0:
            lb_bufring_publish(&rig->ring);
            break;
        case 1: /* across several slots */
            if (slots > 0)
                receive(rig, random_between(&random, 1, slots * SLOT_SIZE - rig->filled));
            break;
        case 2:
            if (slots > 0 && rig->held_count < HELD_MAX / 2)
                receive(rig, random_between(&random, 1, SLOT_SIZE - rig->filled));
            break;
        case 3:
            for (uint64_t n = random_between(&random, 0, 3); n > 0 && rig->held_count > 0; n--)
                give_back(rig, (unsigned)(random_next(&random) % rig->held_count));
            break;
        default:
            if (slots == 0 || random_next(&random) % 8 != 0)
                break;
            if (!incremental)
                lb_bufring_skip(&rig->ring, entry(rig, rig->head)->bid);
            rig->head++;
            rig->filled = 0;
        }
        assert_true(available(rig) <= rig->pool.working);
    }
    assert_complete(rig);
    end(rig);
}

/* The ring's places are counted in 16 bits by the kernel, and more often than that used here. */
static void holds_against_random_use(void **state)
{
    SKIP_IF(!usable, "no io_uring");
    for (uint64_t seed = 1; seed <= 8; seed++)
        play_randomly(*state, false, seed);
}

static void holds_against_random_incremental_use(void **state)
{
    SKIP_IF(!usable || !lb_uring_modes().incremental, "no incremental buffers");
    for (uint64_t seed = 1; seed <= 8; seed++)
        play_randomly(*state, true, seed);
}

/* ---- the kernel itself ----------------------------------------------------------------------- */

enum { STREAM_SIZE = 3 << 20, STREAM_SIZE_SMALL = 256 << 10, HELD_FEW = 12 };

struct transfer {
    struct lb_uring_modes modes;
    int sockets[2];
    uint64_t random;
    size_t size, sent, received;
    bool armed;
};

static uint8_t byte_at(size_t position)
{
    return (uint8_t)(position * 131 + position / 4096 * 17);
}

static void send_some(struct transfer *transfer)
{
    size_t left = transfer->size - transfer->sent;
    size_t size = random_between(&transfer->random, 1, 6 * SLOT_SIZE);
    uint8_t data[6 * SLOT_SIZE];
    ssize_t sent;

    if (size > left)
        size = left;
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(transfer->sent + i);
    sent = send(transfer->sockets[0], data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        transfer->sent += (size_t)sent;
    if (transfer->sent == transfer->size)
        shutdown(transfer->sockets[0], SHUT_WR);
}

static void take(struct rig *rig, struct transfer *transfer, unsigned slot, size_t size)
{
    while (size > 0) {
        size_t part_size;
        uint8_t *data = lb_bufring_consume(&rig->ring, &slot, &size, &part_size);

        for (size_t i = 0; i < part_size; i++)
            assert_int_equal(data[i], byte_at(transfer->received + i));
        transfer->received += part_size;
        assert_true(rig->held_count < HELD_MAX);
        rig->held[rig->held_count++] = (struct part){data, part_size};
    }
}

/* One completion, if one comes. Returns false after the EOF. */
static bool next_completion(struct rig *rig, struct transfer *transfer)
{
    struct __kernel_timespec moment = {.tv_nsec = 1000000};
    struct io_uring_cqe *cqe = NULL;
    int result;
    unsigned flags;

    io_uring_submit_and_wait_timeout(&rig->uring, &cqe, 1, &moment, NULL);
    if (!cqe)
        return true;
    result = cqe->res;
    flags = cqe->flags;
    io_uring_cqe_seen(&rig->uring, cqe);
    transfer->armed = flags & IORING_CQE_F_MORE;
    if (result > 0)
        take(rig, transfer, flags >> IORING_CQE_BUFFER_SHIFT, (size_t)result);
    else if (flags & IORING_CQE_F_BUFFER)
        lb_bufring_skip(&rig->ring, flags >> IORING_CQE_BUFFER_SHIFT);
    assert_true(result >= 0 || result == -ENOBUFS);
    return result != 0;
}

static void transfer_stream(struct rig *rig, struct lb_uring_modes modes)
{
    struct transfer transfer = {
        .modes = modes, .random = 1, .size = scale_count(STREAM_SIZE, STREAM_SIZE_SMALL)};
    uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    begin(rig, 6, 2, modes.incremental);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, transfer.sockets), 0);
    assert_int_equal(lb_uring_enable(&rig->uring), 0);
    do {
        assert_true(time_now_ns() < deadline);
        if (transfer.sent < transfer.size)
            send_some(&transfer);
        /* Few are held for long, in no order, so that the ring runs out now and then. */
        while (rig->held_count > random_next(&transfer.random) % HELD_FEW)
            give_back(rig, (unsigned)(random_next(&transfer.random) % rig->held_count));
        lb_bufring_publish(&rig->ring);
        if (!transfer.armed)
            lb_uring_prep_receive(io_uring_get_sqe(&rig->uring), transfer.sockets[1], modes);
        transfer.armed = true;
    } while (next_completion(rig, &transfer));
    assert_int_equal(transfer.received, transfer.size);
    close(transfer.sockets[0]);
    close(transfer.sockets[1]);
    assert_complete(rig);
    end(rig);
}

static void receives_a_stream(void **state)
{
    SKIP_IF(!usable, "no io_uring");
    transfer_stream(*state, (struct lb_uring_modes){.bundles = false});
}

static void receives_a_stream_in_bundles(void **state)
{
    SKIP_IF(!usable || !lb_uring_modes().bundles, "no bundles");
    transfer_stream(*state, (struct lb_uring_modes){.bundles = true});
}

static void receives_a_stream_incrementally(void **state)
{
    SKIP_IF(!usable || !lb_uring_modes().incremental, "no incremental buffers");
    transfer_stream(*state, (struct lb_uring_modes){.incremental = true});
}

/* Either alone: bundles where a kernel has no incremental buffers, or whole slots are wanted. */
static void chooses_one_way(void **state)
{
    struct lb_uring_modes usable_modes, chosen;

    (void)state;
    SKIP_IF(!usable, "no io_uring");
    usable_modes = lb_uring_modes();
    chosen = lb_uring_choose(false);
    assert_int_equal(chosen.incremental, usable_modes.incremental);
    assert_int_equal(chosen.bundles, usable_modes.bundles && !usable_modes.incremental);
    chosen = lb_uring_choose(true);
    assert_false(chosen.incremental);
    assert_int_equal(chosen.bundles, usable_modes.bundles);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(provides_the_working_set),
        TEST(refuses_too_many_slots),
        TEST(joins_neighbours),
        TEST(follows_the_order_of_coming_back),
        TEST(the_reserve_replaces_what_is_held),
        TEST(fills_a_slot_by_parts),
        TEST(catches_up_with_the_kernel),
        TEST(skips_what_was_used_for_nothing),
        TEST(holds_against_random_use),
        TEST(holds_against_random_incremental_use),
        TEST(receives_a_stream),
        TEST(receives_a_stream_in_bundles),
        TEST(receives_a_stream_incrementally),
        TEST(chooses_one_way),
    };

    return cmocka_run_group_tests(tests, probe, NULL);
}
