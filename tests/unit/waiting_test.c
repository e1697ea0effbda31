/* SPDX-License-Identifier: MIT */
/* Who waits for a slot: the order, with those behind that had slots in the same batch. */
#include "unit.h"

#include "waiting.h"

enum { CONNS = 6 };

struct room {
    struct lb_waiting waiting;
    struct lb_conn conns[CONNS];
};

static int setup(void **state)
{
    static struct room room;

    room = (struct room){0};
    lb_waiting_init(&room.waiting);
    *state = &room;
    return 0;
}

/* Takes all, who must be the conns with the digits of order. */
static void assert_taken(struct room *room, const char *order)
{
    const struct lb_conn *conn = lb_waiting_take(&room->waiting);

    for (; *order; order++) {
        assert_non_null(conn);
        assert_int_equal(conn - room->conns, *order - '0');
        conn = lb_conn_part(conn)->next;
    }
    assert_null(conn);
    assert_false(lb_waiting_any(&room->waiting));
}

static void add(struct room *room, const char *order)
{
    for (; *order; order++)
        lb_waiting_add(&room->waiting, &room->conns[*order - '0']);
}

static void add_last(struct room *room, const char *order)
{
    for (; *order; order++)
        lb_waiting_add_last(&room->waiting, &room->conns[*order - '0']);
}

static void had_slots(struct room *room, const char *who)
{
    for (; *who; who++)
        lb_waiting_had_slot(&room->waiting, &room->conns[*who - '0']);
}

static void nobody_waits_at_first(void **state)
{
    struct room *room = *state;

    assert_false(lb_waiting_any(&room->waiting));
    assert_taken(room, "");
}

static void who_never_had_a_slot_is_served_in_order(void **state)
{
    struct room *room = *state;

    add(room, "301");
    assert_true(lb_waiting_any(&room->waiting));
    assert_taken(room, "301");
}

static void who_had_slots_goes_behind(void **state)
{
    struct room *room = *state;

    had_slots(room, "024");
    add(room, "021");
    add(room, "43");
    add(room, "5");
    assert_taken(room, "135024");
}

static void the_sated_alone_are_served_in_order(void **state)
{
    struct room *room = *state;

    had_slots(room, "210");
    add(room, "210");
    assert_true(lb_waiting_any(&room->waiting));
    assert_taken(room, "210");
}

static void who_comes_last_goes_behind_the_sated(void **state)
{
    struct room *room = *state;

    had_slots(room, "1");
    add_last(room, "0");
    add(room, "12");
    add_last(room, "3");
    add(room, "4");
    assert_taken(room, "24013");
}

static void a_slot_counts_for_one_batch(void **state)
{
    struct room *room = *state;

    had_slots(room, "01");
    lb_waiting_begin_batch(&room->waiting);
    had_slots(room, "1");
    add(room, "102");
    assert_taken(room, "021");
}

static void who_waits_keeps_its_place_in_the_next_batch(void **state)
{
    struct room *room = *state;

    had_slots(room, "0");
    add(room, "01");
    lb_waiting_begin_batch(&room->waiting);
    add(room, "2");
    assert_taken(room, "120");
}

/* As the backend does while it serves them: some are armed, the others wait on. */
static void who_is_taken_may_wait_again(void **state)
{
    struct room *room = *state;
    struct lb_conn *next;

    had_slots(room, "13");
    add(room, "012345");
    lb_waiting_begin_batch(&room->waiting);
    for (struct lb_conn *conn = lb_waiting_take(&room->waiting); conn; conn = next) {
        next = lb_conn_part(conn)->next;
        if (conn != &room->conns[0] && conn != &room->conns[3])
            lb_waiting_add(&room->waiting, conn);
    }
    had_slots(room, "0");
    add(room, "03");
    assert_taken(room, "245130");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nobody_waits_at_first, setup),
        cmocka_unit_test_setup(who_never_had_a_slot_is_served_in_order, setup),
        cmocka_unit_test_setup(who_had_slots_goes_behind, setup),
        cmocka_unit_test_setup(the_sated_alone_are_served_in_order, setup),
        cmocka_unit_test_setup(who_comes_last_goes_behind_the_sated, setup),
        cmocka_unit_test_setup(a_slot_counts_for_one_batch, setup),
        cmocka_unit_test_setup(who_waits_keeps_its_place_in_the_next_batch, setup),
        cmocka_unit_test_setup(who_is_taken_may_wait_again, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
