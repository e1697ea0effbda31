/* SPDX-License-Identifier: MIT */
/* The conns that wait for a slot, in the order in which they are served.
 *
 * A flood uses up the slots and is the first to find none left, so first come, first served would
 * put it first again. Who had slots in this batch goes behind those that had none. */
#ifndef LB_WAITING_H
#define LB_WAITING_H

#include "conn.h"

struct lb_waiting {
    struct lb_conn *first;
    struct lb_conn **sated; /* where those begin that had slots in this batch */
    struct lb_conn **end;
    unsigned batch; /* the number of this one; 0 is that of a conn that never had a slot */
};

/* Nobody waits; the first batch has begun. It must not move in memory from now on. */
void lb_waiting_init(struct lb_waiting *waiting);

/* From now on, who had slots before counts as one that had none; who waits already keeps its place. */
static inline void lb_waiting_begin_batch(struct lb_waiting *waiting)
{
    waiting->batch++;
}

/* The conn had a slot in this batch. */
static inline void lb_waiting_had_slot(const struct lb_waiting *waiting, struct lb_conn *conn)
{
    lb_conn_part(conn)->batch = waiting->batch;
}

static inline bool lb_waiting_any(const struct lb_waiting *waiting)
{
    return waiting->first;
}

/* The conn waits at the place that is due to it. It must not wait already. */
void lb_waiting_add(struct lb_waiting *waiting, struct lb_conn *conn);

/* The conn waits behind all others. It must not wait already. */
void lb_waiting_add_last(struct lb_waiting *waiting, struct lb_conn *conn);

/* All that wait, linked by next, and none of them waits any more. */
struct lb_conn *lb_waiting_take(struct lb_waiting *waiting);

#endif
