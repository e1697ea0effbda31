/* SPDX-License-Identifier: MIT */
/* The throttle, by made-up times: who waits, who goes on, in what order, and how much comes. */
#include "unit.h"

#include "throttle.h"

#define MS UINT64_C(1000000)
#define BEGIN (UINT64_C(5000) * MS)

enum { STREAMS = 5, PIECE = 4000 };

struct crossing {
    struct lb_throttle_limits limits;
    struct lb_throttle throttle;
    struct lb_throttled streams[STREAMS];
};

static void init(struct crossing *crossing, uint64_t rate, uint64_t total_rate)
{
    *crossing = (struct crossing){.throttle = {.limits = &crossing->limits}};
    lb_throttle_limits_init(&crossing->limits, rate, total_rate);
}

static bool pass(struct crossing *crossing, int stream, size_t bytes, uint64_t now_ns)
{
    lb_throttle_pay(&crossing->throttle, &crossing->streams[stream], bytes, now_ns);
    return lb_throttle_pass(&crossing->throttle, &crossing->streams[stream], now_ns);
}

/* Who may go on now, as "02". */
static const char *look(struct crossing *crossing, uint64_t now_ns)
{
    static char names[STREAMS + 1];
    size_t count = 0;

    for (const struct lb_throttled *throttled =
             lb_throttle_look(&crossing->throttle, PIECE, now_ns);
         throttled; throttled = throttled->next)
        names[count++] = (char)('0' + (throttled - crossing->streams));
    names[count] = '\0';
    return names;
}

static void a_burst_passes(void **state)
{
    struct crossing crossing;

    (void)state;
    init(&crossing, 1000, 0);
    assert_true(pass(&crossing, 0, 90, BEGIN));
    assert_null(crossing.throttle.first);
    assert_false(pass(&crossing, 0, 1000, BEGIN));
    assert_ptr_equal(crossing.throttle.first, &crossing.streams[0]);
}

/* The rate says when: not before, and hardly after. */
static void it_goes_on_when_it_has_paid(void **state)
{
    struct crossing crossing;

    (void)state;
    init(&crossing, 1000, 0);
    assert_false(pass(&crossing, 0, 600, BEGIN)); /* 600 ms, 100 of them made up for */
    assert_in_range(crossing.throttle.look_ns, BEGIN + 500 * MS, BEGIN + 501 * MS);
    assert_string_equal(look(&crossing, BEGIN + 499 * MS), "");
    assert_in_range(crossing.throttle.look_ns, BEGIN + 500 * MS, BEGIN + 510 * MS);
    assert_string_equal(look(&crossing, BEGIN + 510 * MS), "0");
    assert_null(crossing.throttle.first);
}

/* Each has a rate of its own, so a stream's debt is not the others'. */
static void who_has_paid_does_not_wait_for_who_has_not(void **state)
{
    struct crossing crossing;

    (void)state;
    init(&crossing, 1000, 0);
    assert_false(pass(&crossing, 0, 10000, BEGIN));
    assert_false(pass(&crossing, 1, 300, BEGIN));
    assert_false(pass(&crossing, 2, 200, BEGIN));
    assert_string_equal(look(&crossing, BEGIN + 300 * MS), "12");
    assert_string_equal(look(&crossing, BEGIN + 10000 * MS), "0");
}

/* Who has used up its own rate, or waits for others' bytes. */
static void it_is_known_whose_rate_is_used_up(void **state)
{
    struct crossing crossing;

    (void)state;
    init(&crossing, 1000, 10000);
    assert_false(pass(&crossing, 0, 2000, BEGIN));
    assert_true(lb_throttle_owes(&crossing.streams[0], BEGIN));
    assert_false(pass(&crossing, 1, 1, BEGIN));
    assert_false(lb_throttle_owes(&crossing.streams[1], BEGIN));
}

/* Of a total, only as many go on as can be paid for; those who have waited longest. */
static void the_longest_waiting_goes_first(void **state)
{
    struct crossing crossing;
    uint64_t now_ns = BEGIN;

    (void)state;
    init(&crossing, 0, 1000); /* a piece is 4 s */
    for (int i = 0; i < 3; i++)
        assert_false(pass(&crossing, i, PIECE, now_ns));
    assert_string_equal(look(&crossing, now_ns + 11000 * MS), "");
    now_ns += 12000 * MS;
    assert_string_equal(look(&crossing, now_ns), "0");
    assert_false(pass(&crossing, 0, PIECE, now_ns));
    assert_string_equal(look(&crossing, now_ns + 4000 * MS), "1");
    assert_false(pass(&crossing, 1, PIECE, now_ns + 4000 * MS));
    assert_string_equal(look(&crossing, now_ns + 8000 * MS), "2");
    assert_string_equal(look(&crossing, now_ns + 8001 * MS), "0");
}

static void who_leaves_is_not_waited_for(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};
    struct crossing crossing;

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        init(&crossing, 1000, 0);
        for (int j = 0; j < 3; j++)
            assert_false(pass(&crossing, j, 200, BEGIN));
        lb_throttle_leave(&crossing.throttle, &crossing.streams[orders[i][0]]);
        lb_throttle_leave(&crossing.throttle, &crossing.streams[orders[i][1]]);
        assert_ptr_equal(crossing.throttle.first, &crossing.streams[orders[i][2]]);
        assert_ptr_equal(crossing.throttle.last, &crossing.streams[orders[i][2]]);
        lb_throttle_leave(&crossing.throttle, &crossing.streams[orders[i][2]]);
        assert_null(crossing.throttle.first);
        assert_string_equal(look(&crossing, BEGIN + 1000 * MS), "");
    }
}

/* Streams that always have more: each has its share of the total, and together they have the total
 * and no more. */
static void a_total_is_shared_fairly(void **state)
{
    enum { RATE = 200000, SECONDS = 60 };
    uint64_t now_ns = BEGIN, bytes[STREAMS] = {0}, all = 0;
    struct crossing crossing;

    (void)state;
    init(&crossing, 0, RATE);
    for (int i = 0; i < STREAMS; i++)
        pass(&crossing, i, 100000, now_ns); /* far beyond the burst: all of them wait */
    all = STREAMS * 100000;
    while (now_ns < BEGIN + SECONDS * 1000 * MS) {
        now_ns = crossing.throttle.look_ns;
        for (const char *name = look(&crossing, now_ns); *name; name++) {
            uint64_t most = RATE * ((now_ns - BEGIN) / MS + 101) / 1000;

            bytes[*name - '0'] += PIECE;
            all += PIECE;
            assert_true(all <= most + PIECE);
            assert_false(pass(&crossing, *name - '0', PIECE, now_ns));
        }
    }
    for (int i = 1; i < STREAMS; i++)
        assert_in_range(bytes[i], bytes[0] - PIECE, bytes[0] + PIECE);
    assert_true(all >= RATE * (SECONDS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes),
        cmocka_unit_test(it_goes_on_when_it_has_paid),
        cmocka_unit_test(who_has_paid_does_not_wait_for_who_has_not),
        cmocka_unit_test(it_is_known_whose_rate_is_used_up),
        cmocka_unit_test(the_longest_waiting_goes_first),
        cmocka_unit_test(who_leaves_is_not_waited_for),
        cmocka_unit_test(a_total_is_shared_fairly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
