/* SPDX-License-Identifier: MIT */
/* The door: what all lanes share about who may come in, until when, and who is waiting to hear of
 * it. */
#ifndef LB_DOOR_H
#define LB_DOOR_H

#include "admission.h"
#include "gate.h"
#include "inbox.h"
#include "listener.h"
#include "notes.h"

enum lb_stop_level {
    LB_RUNNING,
    LB_STOP_DRAIN, /* accept no more, let streams end */
    LB_STOP_NOW
};

/* One lane, as the others see it. */
struct lb_door_lane {
    struct lb_inbox *inbox;
    _Atomic bool hungry;   /* waits for room: wake it when there may be some */
    _Atomic unsigned load; /* connections that are its */
};

struct lb_door {
    struct lb_gate gate;
    struct lb_admission admission;
    struct lb_listener_list listeners;
    struct lb_hush ends[LB_END_COUNT];
    struct lb_hush refusals;    /* of peers */
    struct lb_hush pauses;      /* of accepting */
    _Atomic uint64_t try_ns;    /* accepting pauses: when the last in turn tries again; or 0 */
    _Atomic uint64_t last_id;   /* of a stream */
    _Atomic unsigned accepting; /* lanes that still may accept */
    _Atomic unsigned spare;     /* descriptors that no stream needs */
    _Atomic int stop;           /* of enum lb_stop_level */
    struct lb_door_lane *lanes; /* by their index; fixed before the first thread starts */
    unsigned lane_count;
};

/* Place for as many lanes, none of which is there yet. 0 or -ENOMEM. */
int lb_door_init(struct lb_door *door, unsigned lanes);
void lb_door_done(struct lb_door *door);

/* A lane with the next index is there. */
void lb_door_add(struct lb_door *door, struct lb_inbox *inbox);

/* No more streams: the first call lets those under way end, the second ends them. From any thread
 * and from a signal handler. */
void lb_door_stop(struct lb_door *door);
void lb_door_stop_now(struct lb_door *door);

/* The lane asks to be woken when there may be room; then it has to look once more, since there may
 * be some by now. */
void lb_door_await_room(struct lb_door *door, unsigned lane);

/* A connection is the lane's, or is not any more. */
static inline void lb_door_load(struct lb_door *door, unsigned lane)
{
    atomic_fetch_add_explicit(&door->lanes[lane].load, 1, memory_order_relaxed);
}

static inline void lb_door_unload(struct lb_door *door, unsigned lane)
{
    atomic_fetch_sub_explicit(&door->lanes[lane].load, 1, memory_order_relaxed);
}

/* A descriptor of those that no stream needs. Returns false if there is none. */
bool lb_door_take_spare(struct lb_door *door);

/* How many more connections there is room for, those counted that have not begun. */
unsigned lb_door_room(struct lb_door *door);

/* Accepting has failed on a lane. Returns when it should try again, in the time of lb_clock_ns:
 * those that fail together try one after the other, so that many cost no more than one. */
uint64_t lb_door_pause(struct lb_door *door, uint64_t now_ns);

/* A lane has failed since accepting worked last. */
static inline bool lb_door_pauses(const struct lb_door *door)
{
    return atomic_load_explicit(&door->try_ns, memory_order_relaxed) != 0;
}

/* Accepting works: those that wait for their turn to try are woken. */
void lb_door_resume(struct lb_door *door);

/* Which lane a connection that this one has accepted should be of: this one, unless another has
 * clearly less to do. The kernel spreads peers by chance, and two bulk streams on one of two cores
 * would leave the other idle. */
unsigned lb_door_choose_lane(const struct lb_door *door, unsigned lane);

/* The lane with the fewest connections. */
unsigned lb_door_least_lane(const struct lb_door *door);

/* Something has ended that others may wait for: room, or the last end. */
void lb_door_look_again(struct lb_door *door);

/* A lane accepts no more; after the last one the listeners are closed. True for that one. */
bool lb_door_leave(struct lb_door *door);

#endif
