/* SPDX-License-Identifier: MIT */
/* The door: who is woken when, and what closes after the last lane. */
#include "unit.h"

#include "clock.h"
#include "door.h"
#include "support.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LANES = 3 };

struct house {
    struct lb_door door;
    struct lb_inbox inboxes[LANES];
};

static int setup(void **state)
{
    struct house *house = calloc(1, sizeof(*house));

    *state = house;
    if (!house || lb_door_init(&house->door, LANES) < 0)
        return -1;
    house->door.gate.max_streams = 1;
    for (int i = 0; i < LANES; i++) {
        if (lb_inbox_open(&house->inboxes[i]) < 0)
            return -1;
        lb_door_add(&house->door, &house->inboxes[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    struct house *house = *state;

    lb_door_done(&house->door);
    for (int i = 0; i < LANES; i++)
        lb_inbox_close(&house->inboxes[i]);
    free(house);
    return 0;
}

/* Which lanes are awake, as "010"; they are asleep afterwards. */
static const char *awake(struct house *house)
{
    static char lanes[LANES + 1];

    for (int i = 0; i < LANES; i++) {
        struct pollfd poller = {.fd = house->inboxes[i].wake_fd, .events = POLLIN};

        lanes[i] = poll(&poller, 1, 0) == 1 ? '1' : '0';
        lb_inbox_take(&house->inboxes[i]);
    }
    return lanes;
}

static void the_first_stop_drains_and_the_second_stops_now(void **state)
{
    struct house *house = *state;

    assert_int_equal(house->door.stop, LB_RUNNING);
    lb_door_stop(&house->door);
    assert_int_equal(house->door.stop, LB_STOP_DRAIN);
    assert_string_equal(awake(house), "111");
    lb_door_stop(&house->door);
    assert_int_equal(house->door.stop, LB_STOP_NOW);
    assert_string_equal(awake(house), "111");
    lb_door_stop(&house->door);
    assert_int_equal(house->door.stop, LB_STOP_NOW);
}

static void a_stop_now_is_not_taken_back(void **state)
{
    struct house *house = *state;

    lb_door_stop_now(&house->door);
    assert_int_equal(house->door.stop, LB_STOP_NOW);
    assert_string_equal(awake(house), "111");
    lb_door_stop(&house->door);
    assert_int_equal(house->door.stop, LB_STOP_NOW);
}

static void who_waits_for_room_is_woken_once(void **state)
{
    struct house *house = *state;

    lb_door_look_again(&house->door);
    assert_string_equal(awake(house), "000");
    lb_door_await_room(&house->door, 1);
    assert_string_equal(awake(house), "000");
    lb_door_look_again(&house->door);
    assert_string_equal(awake(house), "010");
    lb_door_look_again(&house->door);
    assert_string_equal(awake(house), "000");
}

static void who_still_has_no_room_waits_again(void **state)
{
    struct house *house = *state;

    lb_door_await_room(&house->door, 0);
    lb_door_await_room(&house->door, 2);
    lb_door_look_again(&house->door);
    assert_string_equal(awake(house), "101");
    lb_door_await_room(&house->door, 2);
    lb_door_look_again(&house->door);
    assert_string_equal(awake(house), "001");
}

/* Sixty-four workers that all find no descriptor cost no more than one. */
static void who_fails_tries_again_after_the_others(void **state)
{
    struct house *house = *state;
    uint64_t now_ns = LB_NS_PER_S, first_ns;

    assert_false(lb_door_pauses(&house->door));
    first_ns = lb_door_pause(&house->door, now_ns);
    assert_true(first_ns > now_ns);
    assert_true(lb_door_pauses(&house->door));
    assert_int_equal(lb_door_pause(&house->door, now_ns) - first_ns, first_ns - now_ns);
    assert_int_equal(lb_door_pause(&house->door, first_ns) - first_ns, 2 * (first_ns - now_ns));
    /* Whoever fails when nobody waits any more waits no longer than the first. */
    assert_int_equal(lb_door_pause(&house->door, 10 * first_ns), 11 * first_ns - now_ns);
}

static void who_could_accept_wakes_those_that_pause(void **state)
{
    struct house *house = *state;

    lb_door_resume(&house->door);
    assert_string_equal(awake(house), "000");
    lb_door_pause(&house->door, LB_NS_PER_S);
    lb_door_resume(&house->door);
    assert_false(lb_door_pauses(&house->door));
    assert_string_equal(awake(house), "111");
    lb_door_resume(&house->door);
    assert_string_equal(awake(house), "000");
}

/* They have to end, whether they wait for room or not. */
static void the_last_end_wakes_all(void **state)
{
    struct house *house = *state;

    house->door.gate.count = 2;
    for (int i = 0; i < 2; i++) {
        lb_door_look_again(&house->door);
        assert_string_equal(awake(house), "000");
        assert_true(lb_gate_claim(&house->door.gate));
        lb_gate_release(&house->door.gate, true);
    }
    lb_door_look_again(&house->door);
    assert_string_equal(awake(house), "111");
}

static int connect_to(const struct lb_door *door)
{
    int fd = peer_connect(door->listeners.items[0].name);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static void the_last_lane_to_leave_closes(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    const struct lb_listener_options options = {.sockets = 1};
    struct house *house = *state;

    assert_int_equal(lb_listener_open(&house->door.listeners, addresses, &options, NULL), 0);
    for (int i = 1; i < LANES; i++) {
        assert_false(lb_door_leave(&house->door));
        assert_int_equal(connect_to(&house->door), 0);
    }
    assert_true(lb_door_leave(&house->door));
    assert_true(connect_to(&house->door) < 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* So that one who came later can't take the place of one who waits on another lane. */
static void who_has_come_takes_room_before_it_begins(void **state)
{
    struct house *house = *state;

    house->door.gate.max_streams = 2;
    assert_int_equal(lb_door_room(&house->door), 2);
    lb_door_load(&house->door, 0);
    lb_door_load(&house->door, 1);
    assert_int_equal(lb_door_room(&house->door), 0);
    assert_int_equal(lb_gate_room(&house->door.gate), 2);
    lb_door_unload(&house->door, 1);
    assert_int_equal(lb_door_room(&house->door), 1);
}

static void spare_descriptors_are_taken_once(void **state)
{
    struct house *house = *state;

    house->door.spare = 2;
    assert_true(lb_door_take_spare(&house->door));
    assert_true(lb_door_take_spare(&house->door));
    assert_false(lb_door_take_spare(&house->door));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_stop_drains_and_the_second_stops_now),
        TEST(a_stop_now_is_not_taken_back),
        TEST(who_waits_for_room_is_woken_once),
        TEST(who_still_has_no_room_waits_again),
        TEST(who_fails_tries_again_after_the_others),
        TEST(who_could_accept_wakes_those_that_pause),
        TEST(who_has_come_takes_room_before_it_begins),
        TEST(spare_descriptors_are_taken_once),
        TEST(the_last_end_wakes_all),
        TEST(the_last_lane_to_leave_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
