/* SPDX-License-Identifier: MIT */
#include "door.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>

/* Out of descriptors or memory: accepting at once again would only burn CPU. */
#define PAUSE_NS (100 * LB_NS_PER_MS)

int lb_door_init(struct lb_door *door, unsigned lanes)
{
    door->lanes = calloc(lanes, sizeof(*door->lanes));
    return door->lanes ? 0 : -ENOMEM;
}

void lb_door_done(struct lb_door *door)
{
    lb_listener_close(&door->listeners);
    lb_admission_done(&door->admission);
    free(door->lanes);
    door->lanes = NULL;
}

void lb_door_add(struct lb_door *door, struct lb_inbox *inbox)
{
    door->lanes[door->lane_count++].inbox = inbox;
    door->accepting++;
}

static void wake_all(const struct lb_door *door)
{
    for (unsigned i = 0; i < door->lane_count; i++)
        lb_inbox_wake(door->lanes[i].inbox);
}

void lb_door_stop_now(struct lb_door *door)
{
    atomic_store(&door->stop, LB_STOP_NOW);
    wake_all(door);
}

void lb_door_stop(struct lb_door *door)
{
    int level = LB_RUNNING;

    if (atomic_compare_exchange_strong(&door->stop, &level, LB_STOP_DRAIN))
        wake_all(door);
    else
        lb_door_stop_now(door);
}

void lb_door_await_room(struct lb_door *door, unsigned lane)
{
    atomic_store(&door->lanes[lane].hungry, true);
}

bool lb_door_take_spare(struct lb_door *door)
{
    unsigned spare = atomic_load(&door->spare);

    while (spare > 0 && !atomic_compare_exchange_weak(&door->spare, &spare, spare - 1))
        ;
    return spare > 0;
}

unsigned lb_door_room(struct lb_door *door)
{
    unsigned room = lb_gate_room(&door->gate), most = door->gate.max_streams, all = 0;

    for (unsigned i = 0; i < door->lane_count; i++)
        all += atomic_load_explicit(&door->lanes[i].load, memory_order_relaxed);
    if (all >= most)
        return 0;
    return room < most - all ? room : most - all;
}

uint64_t lb_door_pause(struct lb_door *door, uint64_t now_ns)
{
    uint64_t last_ns = atomic_load(&door->try_ns), turn_ns;

    do
        turn_ns = (last_ns > now_ns ? last_ns : now_ns) + PAUSE_NS;
    while (!atomic_compare_exchange_weak(&door->try_ns, &last_ns, turn_ns));
    return turn_ns;
}

void lb_door_resume(struct lb_door *door)
{
    if (atomic_exchange(&door->try_ns, 0) != 0)
        wake_all(door);
}

static unsigned load_of(const struct lb_door *door, unsigned lane)
{
    return atomic_load_explicit(&door->lanes[lane].load, memory_order_relaxed);
}

struct loads {
    unsigned lane, least; /* which has the least, and what it is */
    unsigned sum;
};

/* Of equals it is the first, but for the lane given, whose load is own. */
static struct loads look_at_loads(const struct lb_door *door, unsigned lane, unsigned own)
{
    struct loads loads = {.lane = lane, .least = own};

    for (unsigned i = 0; i < door->lane_count; i++) {
        unsigned load = load_of(door, i);

        loads.sum += load;
        if (load < loads.least) {
            loads.least = load;
            loads.lane = i;
        }
    }
    return loads;
}

/* Below a load of eight each: as even as can be, since each may be one that fills a core. Above:
 * within an eighth of the mean, so that a crowd of short streams is not handed round. */
unsigned lb_door_choose_lane(const struct lb_door *door, unsigned lane)
{
    unsigned own = load_of(door, lane);
    struct loads loads;

    if (own == 0)
        return lane;
    loads = look_at_loads(door, lane, own);
    return (own - loads.least) * 8 * door->lane_count > loads.sum ? loads.lane : lane;
}

unsigned lb_door_least_lane(const struct lb_door *door)
{
    return look_at_loads(door, 0, load_of(door, 0)).lane;
}

void lb_door_look_again(struct lb_door *door)
{
    if (lb_gate_finished(&door->gate)) {
        wake_all(door);
        return;
    }
    for (unsigned i = 0; i < door->lane_count; i++) {
        struct lb_door_lane *lane = &door->lanes[i];

        if (atomic_load(&lane->hungry) && atomic_exchange(&lane->hungry, false))
            lb_inbox_wake(lane->inbox);
    }
}

bool lb_door_leave(struct lb_door *door)
{
    if (atomic_fetch_sub(&door->accepting, 1) != 1)
        return false;
    lb_listener_shut(&door->listeners);
    return true;
}
