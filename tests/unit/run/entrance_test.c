/* SPDX-License-Identifier: MIT */
/* The entrance when it closes, and how many it lets in: what scripts don't reach. */
#include "unit.h"

#include "backlog.h"
#include "script_plan.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A rig, a socket that it was lent, and two peers who wait there. */
struct lent {
    struct rig rig; /* first: rig_teardown's */
    struct lb_backend backend;
    char directory[100], address[140];
    int listener, peers[2];
};

/* A socket where both peers wait. */
static void listen_here(struct lent *lent, struct lb_listener_list *list)
{
    const struct lb_listener_options options = {.sockets = 1};
    const char *const names[] = {lent->address, NULL};

    assert_int_equal(directory_make(lent->directory, sizeof(lent->directory)), 0);
    snprintf(lent->address, sizeof(lent->address), "unix:%s/socket", lent->directory);
    assert_int_equal(lb_listener_open(list, names, &options, NULL), 0);
    lent->listener = dup(list->items[0].fds[0]);
    for (int i = 0; i < 2; i++) {
        lent->peers[i] = peer_connect(lent->address);
        assert_true(lent->peers[i] >= 0);
    }
}

static void lend(struct lent *lent)
{
    struct lb_listener_list here = {0};
    const struct lb_listener_options options = {.sockets = 1};
    char name[20];
    const char *const names[] = {name, NULL};

    listen_here(lent, &here);
    lb_listener_close(&here);
    snprintf(name, sizeof(name), "fd:%d", lent->listener);
    assert_int_equal(lb_listener_open(&lent->rig.script.door.listeners, names, &options, NULL), 0);
}

static struct lb_entrance *begin(struct lent *lent, bool wakes_one)
{
    struct lb_worker *worker = &lent->rig.script.worker;

    assert_int_equal(rig_init(&lent->rig, (struct script_options){0}), 0);
    lend(lent);
    lent->backend = *worker->lane.backend;
    lent->backend.wakes_one = wakes_one;
    worker->lane.backend = &lent->backend;
    return &worker->entrance;
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct lent));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct lent *lent = *state;

    for (int i = 0; i < 2; i++)
        close(lent->peers[i]);
    close(lent->listener);
    directory_remove(lent->directory);
    return rig_teardown(state);
}

/* The kernel may have woken us alone for them, and our heirs would never hear of it. */
static void what_woke_us_alone_is_ours(void **state)
{
    struct lb_entrance *entrance = begin(*state, true);

    lb_entrance_leave(entrance, true);
    assert_int_equal(entrance->parked.count, 2);
    assert_true(lb_entrance_is_busy(entrance));
}

/* All were woken, so the heirs are. */
static void what_woke_all_is_left_to_the_heirs(void **state)
{
    struct lb_entrance *entrance = begin(*state, false);

    lb_entrance_leave(entrance, true);
    assert_false(lb_entrance_is_busy(entrance));
}

static void in_a_hurry_nobody_is_taken(void **state)
{
    struct lb_entrance *entrance = begin(*state, true);

    lb_entrance_leave(entrance, false);
    assert_false(lb_entrance_is_busy(entrance));
    /* It has left: there is no second time. */
    lb_entrance_leave(entrance, true);
    assert_false(lb_entrance_is_busy(entrance));
}

static void only_the_last_lane_looks_who_waits(void **state)
{
    struct lent *lent = *state;
    struct lb_entrance *entrance = begin(lent, true);
    struct lb_inbox other;

    assert_int_equal(lb_inbox_open(&other), 0);
    lb_door_add(&lent->rig.script.door, &other);
    lb_entrance_leave(entrance, true);
    assert_false(lb_entrance_is_busy(entrance));
    lb_inbox_close(&other);
}

static void while_somebody_waits_nobody_is_accepted(void **state)
{
    struct lb_entrance *entrance = begin(*state, true);
    struct lb_arrival arrival = {.fd = -1};

    assert_true(lb_entrance_room(entrance) > 0);
    arrival.fd = lb_backlog_take_shared(&entrance->lane->door->listeners, &arrival.listener);
    lb_entrance_accepted(entrance, &arrival);
    assert_int_equal(lb_entrance_room(entrance), 0);
    lb_entrance_close(entrance);
    assert_true(lb_entrance_room(entrance) > 0);
}

static void while_it_pauses_nobody_is_accepted(void **state)
{
    struct lent *lent = *state;
    struct lb_entrance *entrance = begin(lent, true);
    struct lb_alarms *alarms = &entrance->lane->alarms;

    lb_entrance_pause(entrance, -EMFILE);
    assert_int_equal(lb_entrance_room(entrance), 0);
    assert_ptr_equal(lb_alarms_take_due(alarms, LB_NEVER - 1), &entrance->again);
    assert_true(lb_entrance_room(entrance) > 0);
}

/* It has nothing to wait for, and is to leave at once. */
static void a_socket_frozen_by_another_lane_is_no_pause(void **state)
{
    struct lb_entrance *entrance = begin(*state, true);

    entrance->lane->door->stop = LB_STOP_DRAIN;
    lb_entrance_pause(entrance, -EINVAL);
    assert_false(lb_door_pauses(entrance->lane->door));
    assert_int_equal(lb_alarms_next_ns(&entrance->lane->alarms), LB_NEVER);
}

static void what_another_lane_could_accept_ends_its_pause(void **state)
{
    struct lb_entrance *entrance = begin(*state, true);

    lb_entrance_pause(entrance, -EMFILE);
    assert_int_equal(lb_entrance_room(entrance), 0);
    lb_door_resume(entrance->lane->door);
    assert_true(lb_entrance_room(entrance) > 0);
    assert_int_equal(lb_alarms_next_ns(&entrance->lane->alarms), LB_NEVER);
}

static void what_it_accepts_ends_the_pause_of_all(void **state)
{
    struct lb_entrance *entrance = begin(*state, true);
    struct lb_arrival arrival = {.fd = -1};

    lb_door_pause(entrance->lane->door, 1);
    arrival.fd = lb_backlog_take_shared(&entrance->lane->door->listeners, &arrival.listener);
    lb_entrance_accepted(entrance, &arrival);
    assert_false(lb_door_pauses(entrance->lane->door));
}

static void while_it_pauses_nobody_is_drained(void **state)
{
    struct lent *lent = *state;
    struct lb_door *door = &lent->rig.script.door;
    struct lb_entrance *entrance = &lent->rig.script.worker.entrance;

    assert_int_equal(rig_init(&lent->rig, (struct script_options){0}), 0);
    listen_here(lent, &door->listeners);
    door->gate.max_streams = 0;
    door->spare = 10;
    lb_entrance_pause(entrance, -EMFILE);
    assert_false(lb_entrance_drain(entrance));
    assert_false(lb_entrance_is_busy(entrance));
    assert_int_equal(door->spare, 10);
    assert_ptr_equal(lb_alarms_take_due(&entrance->lane->alarms, LB_NEVER - 1), &entrance->again);
    assert_true(lb_entrance_drain(entrance));
    assert_true(lb_entrance_is_busy(entrance));
}

/* Others would have him sooner than after the stream that it may have. */
static void a_lane_of_one_stream_leaves_the_rest_to_others(void **state)
{
    struct lent *lent = *state;
    struct lb_worker *worker = &lent->rig.script.worker;
    struct lb_door *door = &lent->rig.script.door;
    struct lb_inbox other;

    assert_int_equal(rig_init(&lent->rig, (struct script_options){.one_stream_per_worker = true}),
                     0);
    assert_int_equal(lb_inbox_open(&other), 0);
    listen_here(lent, &door->listeners);
    door->gate.max_streams = 0;
    door->spare = 10;
    lb_door_add(door, &other);
    assert_false(lb_entrance_drain(&worker->entrance));
    assert_false(lb_entrance_is_busy(&worker->entrance));
    door->lane_count--;
    assert_true(lb_entrance_drain(&worker->entrance));
    assert_int_equal(worker->entrance.parked.count, 2);
    lb_inbox_close(&other);
}

/* With all that belongs to it. */
static void who_finds_no_place_is_turned_away(void **state)
{
    struct lent *lent = *state;
    struct lb_entrance *entrance = begin(lent, true);
    struct lb_lane *lane = entrance->lane;
    struct lb_first *first = calloc(1, sizeof(*first) + 1);
    struct lb_arrival arrival = {.fd = dup(lent->peers[0]), .listener = -1, .first = first};

    assert_non_null(first);
    first->size = 1;
    rig_leave_places(&lent->rig, 0);
    lb_door_load(lane->door, lane->index);
    lb_entrance_take(entrance, &arrival);
    assert_int_equal(lane->door->lanes[lane->index].load, 0);
    assert_int_equal(fcntl(arrival.fd, F_GETFD), -1);
    assert_false(lb_entrance_is_busy(entrance));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_woke_us_alone_is_ours),
        TEST(what_woke_all_is_left_to_the_heirs),
        TEST(in_a_hurry_nobody_is_taken),
        TEST(only_the_last_lane_looks_who_waits),
        TEST(while_somebody_waits_nobody_is_accepted),
        TEST(while_it_pauses_nobody_is_accepted),
        TEST(a_socket_frozen_by_another_lane_is_no_pause),
        TEST(what_another_lane_could_accept_ends_its_pause),
        TEST(what_it_accepts_ends_the_pause_of_all),
        TEST(while_it_pauses_nobody_is_drained),
        TEST(a_lane_of_one_stream_leaves_the_rest_to_others),
        TEST(who_finds_no_place_is_turned_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
