/* SPDX-License-Identifier: MIT */
/*
 * The entrance: a lane's way in. What was accepted runs its preludes, if there are any; then
 * admission looks at who it is; then it waits until it may begin.
 */
#ifndef LB_ENTRANCE_H
#define LB_ENTRANCE_H

#include "stream.h"

/* Connections that may wait beyond max_streams on each lane: the kernel accepted them ahead, or a
 * program has handed them over. */
enum { LB_ACCEPT_AHEAD = 8192 };

struct lb_entrance {
    struct lb_lane *lane;
    struct lb_stream_queue lobby;  /* wait for their preludes to begin */
    struct lb_stream_queue parked; /* admitted, wait to begin */
    struct lb_alarm again;         /* after a failed accept: when to try again */
    bool frozen;                   /* nobody else comes to the lane's sockets */
    bool left;                     /* it accepts no more, for good */
};

void lb_entrance_init(struct lb_entrance *entrance, struct lb_lane *lane);

/* Those that still wait are closed; their peers should know. */
void lb_entrance_close(struct lb_entrance *entrance);

/* A connection has been accepted here: another lane's that has less to do, or this one's. */
void lb_entrance_accepted(struct lb_entrance *entrance, const struct lb_arrival *arrival);

/* A connection has come, and counts as the lane's already (lb_door_load). */
void lb_entrance_take(struct lb_entrance *entrance, const struct lb_arrival *arrival);

/* The same, of a caller's: no one asks who its peer is. -EMFILE: there is no place; fd stays the
 * caller's. */
int lb_entrance_adopt(struct lb_entrance *entrance, int fd);

/* The program ends it before it has begun. */
void lb_entrance_end(struct lb_entrance *entrance, struct lb_stream *stream);

/* Accepting has failed with -errno error: it pauses. */
void lb_entrance_pause(struct lb_entrance *entrance, int error);

/* Whoever may go on does. */
void lb_entrance_go_on(struct lb_entrance *entrance);

/* How many may be accepted now. */
unsigned lb_entrance_room(struct lb_entrance *entrance);

/* Somebody has come in and not begun. */
bool lb_entrance_is_busy(const struct lb_entrance *entrance);

/* Draining, and the backend accepts no more: takes in those whom the kernel has accepted for us, as
 * far as there is room. Returns true once nobody is left. */
bool lb_entrance_drain(struct lb_entrance *entrance);

/* It accepts no more, for good. New peers are refused at once instead of waiting for nobody, as
 * soon as no lane accepts. heirs: others may accept from sockets that we were lent, and what waits
 * there is ours to take. */
void lb_entrance_leave(struct lb_entrance *entrance, bool heirs);

#endif
