/* SPDX-License-Identifier: MIT */
#include "entrance.h"

#include "backlog.h"
#include "clock.h"
#include "door.h"
#include "ending.h"
#include "filter.h"
#include "life.h"
#include "news.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCARCE = 1024 }; /* room; with less, those who wait for it count too */

#define TELL_NS (10 * LB_NS_PER_S) /* that accepting pauses is said once in so long */

void lb_entrance_init(struct lb_entrance *entrance, struct lb_lane *lane)
{
    *entrance = (struct lb_entrance){.lane = lane};
}

static void drop_all(struct lb_stream_queue *queue)
{
    struct lb_stream *stream;

    while ((stream = lb_stream_queue_take(queue)))
        lb_life_drop(stream);
}

void lb_entrance_close(struct lb_entrance *entrance)
{
    drop_all(&entrance->lobby);
    drop_all(&entrance->lane->streams->entered);
    drop_all(&entrance->parked);
}

/* ---- coming ---------------------------------------------------------------------------------- */

static void refuse(struct lb_stream *stream, const char *why)
{
    lb_life_refuse(stream, &(struct lb_verdict){.end = LB_END_LIMIT, .why = why});
}

static void admit(struct lb_entrance *entrance, struct lb_stream *stream)
{
    const char *why = lb_admission_enter(&entrance->lane->door->admission, &stream->peer);

    if (why)
        refuse(stream, why);
    else
        lb_stream_queue_put(&entrance->parked, stream);
}

static void meet(struct lb_entrance *entrance, struct lb_stream *stream)
{
    const char *why = lb_admission_meet(&entrance->lane->door->admission, &stream->peer);

    if (why)
        refuse(stream, why);
    else if (lb_filters_expect(stream))
        lb_stream_queue_put(&entrance->lobby, stream);
    else
        admit(entrance, stream);
}

void lb_entrance_take(struct lb_entrance *entrance, const struct lb_arrival *arrival)
{
    struct lb_lane *lane = entrance->lane;
    struct lb_stream *stream = lb_life_accept(lane, arrival);

    if (stream) {
        meet(entrance, stream);
    } else {
        static const struct lb_verdict full = {.end = LB_END_LIMIT, .why = "max-streams"};

        lb_ending_refuse(lane, arrival->fd, &full);
        lb_outcomes_count(&lane->counters.outcomes, LB_OUTCOME_REFUSED, &full);
        close(arrival->fd);
        free(arrival->first);
        lb_door_unload(lane->door, lane->index);
    }
}

/* Returns false if the other takes no more, or there is no memory. */
static bool hand_over(const struct lb_lane *lane, unsigned other, const struct lb_arrival *arrival)
{
    struct lb_adopted *adopted = malloc(sizeof(*adopted));

    if (!adopted)
        return false;
    *adopted = (struct lb_adopted){.letter.kind = LB_LETTER_ADOPTED, .arrival = *arrival};
    if (lb_inbox_post(lane->door->lanes[other].inbox, &adopted->letter))
        return true;
    free(adopted);
    return false;
}

/* Its listener was not ours to mark. */
static bool is_unmarked(const struct lb_lane *lane, const struct lb_arrival *arrival)
{
    const struct lb_listener_list *listeners = &lane->door->listeners;

    return (size_t)arrival->listener < listeners->count &&
           listeners->items[arrival->listener].borrowed;
}

void lb_entrance_accepted(struct lb_entrance *entrance, const struct lb_arrival *arrival)
{
    const struct lb_lane *lane = entrance->lane;
    unsigned chosen = lane->index;

    if (lb_door_pauses(lane->door))
        lb_door_resume(lane->door);
    if (is_unmarked(lane, arrival))
        lb_listener_mark(arrival->fd);

    /* A lane of one stream at a time accepts only when it has none. */
    if (!lane->backend->one_stream_per_worker)
        chosen = lb_door_choose_lane(lane->door, lane->index);
    lb_door_load(lane->door, chosen);
    if (chosen != lane->index && hand_over(lane, chosen, arrival))
        return;
    if (chosen != lane->index) {
        lb_door_unload(lane->door, chosen);
        lb_door_load(lane->door, lane->index);
    }
    lb_entrance_take(entrance, arrival);
}

int lb_entrance_adopt(struct lb_entrance *entrance, int fd)
{
    struct lb_stream *stream =
        lb_life_accept(entrance->lane, &(struct lb_arrival){.fd = fd, .listener = -1});

    if (!stream)
        return -EMFILE;
    lb_door_load(entrance->lane->door, entrance->lane->index);
    stream->borrowed = true;
    lb_stream_queue_put(&entrance->parked, stream);
    lb_entrance_go_on(entrance);
    return 0;
}

void lb_entrance_end(struct lb_entrance *entrance, struct lb_stream *stream)
{
    static const struct lb_verdict ended = {.end = LB_END_STOPPED, .why = "ended"};
    struct lb_lane *lane = entrance->lane;

    if (stream->state != LB_STREAM_PARKED) {
        lb_life_stop(stream, &ended);
        return;
    }
    if (lb_stream_queue_remove(&entrance->parked, stream))
        lb_admission_leave(&lane->door->admission, &stream->peer);
    else if (!lb_stream_queue_remove(&entrance->lobby, stream))
        lb_stream_queue_remove(&lane->streams->entered, stream);
    lb_life_refuse(stream, &ended);
}

static const char *remedy(int error)
{
    switch (error) {
    case -EMFILE:
    case -ENFILE:
        return "; peers wait in the backlog (raise the limit: ulimit -n)";
    case -EINVAL:
        return ": the socket doesn't listen any more, somebody who shares it has shut it down; "
               "start "
               "the server again";
    default:
        return "; peers wait in the backlog";
    }
}

/* The others meet the same trouble, and between two pauses some accepts may work. */
void lb_entrance_pause(struct lb_entrance *entrance, int error)
{
    struct lb_lane *lane = entrance->lane;
    uint64_t now_ns = lb_clock_ns(), untold;

    /* Another lane has frozen the socket: this one leaves it next. */
    if (error == -EINVAL && lane->door->stop != LB_RUNNING)
        return;
    lb_alarm_set(&lane->alarms, &entrance->again, lb_door_pause(lane->door, now_ns));
    lb_news_of_pause(lane->notes, error);
    if (lb_hush_tells(&lane->door->pauses, now_ns, TELL_NS, 1, &untold))
        lb_note(lane->notes, LB_NOTE_WARNING, "accepting pauses: %s%s", strerror(-error),
                remedy(error));
}

/* ---- going on -------------------------------------------------------------------------------- */

/* A lane that can have one stream at a time has none. */
static bool has_place(const struct lb_lane *lane)
{
    return !lane->backend->one_stream_per_worker || lane->under_way + lane->entering == 0;
}

static bool may_go_on(const struct lb_lane *lane)
{
    return has_place(lane) && !lane->hurry && !lb_gate_finished(&lane->door->gate);
}

/* Asks a second time, after having asked to be woken: there may have been room in between. */
static bool claim(struct lb_lane *lane, bool (*ask)(struct lb_gate *gate))
{
    struct lb_gate *gate = &lane->door->gate;

    if (ask(gate))
        return true;
    lb_door_await_room(lane->door, lane->index);
    return ask(gate);
}

/* A prelude begins. Returns false if none may. */
static bool enter_next(struct lb_entrance *entrance)
{
    struct lb_lane *lane = entrance->lane;

    if (!entrance->lobby.first || entrance->parked.first || !may_go_on(lane) ||
        !claim(lane, lb_gate_claim_entrance))
        return false;
    lb_life_enter(lb_stream_queue_take(&entrance->lobby));
    return true;
}

/* As many streams have ended as were asked for: nobody else will begin. */
static void end_preludes(const struct lb_lane *lane)
{
    static const struct lb_verdict stopped = {.end = LB_END_STOPPED};

    for (struct lb_stream *stream = lane->streams->live; stream; stream = stream->next)
        if (stream->state == LB_STREAM_ENTERING)
            lb_life_stop(stream, &stopped);
}

void lb_entrance_go_on(struct lb_entrance *entrance)
{
    struct lb_lane *lane = entrance->lane;
    struct lb_stream *stream;

    /* A prelude may be over as soon as it begins. */
    do {
        while ((stream = lb_stream_queue_take(&lane->streams->entered)))
            admit(entrance, stream);
        while (entrance->parked.first && may_go_on(lane) && claim(lane, lb_gate_claim))
            lb_life_begin(lb_stream_queue_take(&entrance->parked));
    } while (enter_next(entrance));
    if (lane->entering > 0 && lb_gate_finished(&lane->door->gate))
        end_preludes(lane);
}

static unsigned look_for_room(struct lb_lane *lane)
{
    unsigned room = lb_gate_room(&lane->door->gate);

    return room < SCARCE ? lb_door_room(lane->door) : room;
}

/* It waits for its turn to try, unless another could accept meanwhile. */
static bool is_pausing(struct lb_entrance *entrance)
{
    struct lb_lane *lane = entrance->lane;

    if (entrance->again.when_ns && !lb_door_pauses(lane->door))
        lb_alarm_set(&lane->alarms, &entrance->again, LB_NEVER);
    return entrance->again.when_ns;
}

unsigned lb_entrance_room(struct lb_entrance *entrance)
{
    struct lb_lane *lane = entrance->lane;
    unsigned lanes = lane->door->lane_count, room;

    if (entrance->parked.first || entrance->lobby.first || is_pausing(entrance) || !has_place(lane))
        return 0;
    room = look_for_room(lane);
    if (room == 0) {
        lb_door_await_room(lane->door, lane->index);
        room = look_for_room(lane);
    }
    if (lane->backend->one_stream_per_worker && room > 1)
        return 1;
    /* A share: the others accept meanwhile. */
    return (room + lanes - 1) / lanes;
}

bool lb_entrance_is_busy(const struct lb_entrance *entrance)
{
    const struct lb_lane *lane = entrance->lane;

    return entrance->lobby.first || entrance->parked.first || lane->streams->entered.first ||
           lane->entering > 0;
}

/* ---- leaving --------------------------------------------------------------------------------- */

/* Beyond the room there is now, as long as it costs no stream a descriptor: so that the listeners
 * can be closed at once. Not for the only stream of one lane that others would have sooner. */
static bool may_wait_here(const struct lb_lane *lane)
{
    if (lane->backend->one_stream_per_worker && lane->door->lane_count > 1)
        return false;
    return lane->streams->used + 1 < lane->streams->capacity && lb_door_take_spare(lane->door);
}

bool lb_entrance_drain(struct lb_entrance *entrance)
{
    const struct lb_lane *lane = entrance->lane;
    const struct lb_listener_list *listeners = &lane->door->listeners;
    struct lb_arrival arrival = {0};

    if (entrance->left)
        return true;
    /* First of all, or a peer could come to a socket that idle workers have left already, and keep
     * it for as long as a busy one has no room. */
    if (!entrance->frozen)
        lb_backlog_freeze(listeners, lane->index);
    entrance->frozen = true;
    if (!lb_backlog_waits(listeners, lane->index))
        return true;
    if (is_pausing(entrance))
        return false;
    while (lb_entrance_room(entrance) > 0 || may_wait_here(lane)) {
        arrival.fd = lb_backlog_take(listeners, lane->index, &arrival.listener);
        if (arrival.fd == -EAGAIN) {
            lb_door_look_again(lane->door);
            return true;
        }
        if (arrival.fd < 0) {
            lb_entrance_pause(entrance, arrival.fd);
            return false;
        }
        lb_entrance_accepted(entrance, &arrival);
        lb_entrance_go_on(entrance);
    }
    /* Others may have room for them, and we hear of it when they have taken the last. */
    lb_door_await_room(lane->door, lane->index);
    return !lb_backlog_waits(listeners, lane->index);
}

/* A peer that comes to a socket which our heirs accept from, too, may have woken us alone, and too
 * late: they would hear of it only from the next one. What waits there is still ours, then. */
static void take_from_heirs(struct lb_entrance *entrance)
{
    const struct lb_lane *lane = entrance->lane;
    struct lb_arrival arrival = {0};

    if (!lane->backend->wakes_one)
        return;
    for (unsigned i = 0; i < LB_ACCEPT_AHEAD; i++) {
        arrival.fd = lb_backlog_take_shared(&lane->door->listeners, &arrival.listener);
        if (arrival.fd < 0)
            return;
        lb_entrance_accepted(entrance, &arrival);
    }
}

void lb_entrance_leave(struct lb_entrance *entrance, bool heirs)
{
    if (entrance->left)
        return;
    entrance->left = true;
    if (lb_door_leave(entrance->lane->door) && heirs)
        take_from_heirs(entrance);
}
