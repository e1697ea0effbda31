/* SPDX-License-Identifier: MIT */
/* What backends that work by readiness share: receive into the warmest slot, report it. */
#ifndef LB_READINESS_H
#define LB_READINESS_H

#include "conn.h"
#include "pool.h"

/* One receive for a conn that is ready. Returns true if it gave an event: data (the slot is lent),
 * EOF or an error, or that it is readable where that was the question; false if there was nothing to receive after all. A slot must be free. */
bool lb_readiness_receive(struct lb_pool *pool, struct lb_conn *conn, struct lb_event *event);

/* Marks a conn that is only to be told to be readable. */
static inline void lb_readiness_await(struct lb_conn *conn)
{
    conn->receiving = true;
    lb_conn_part(conn)->awaiting = true;
    lb_conn_part(conn)->once = true;
}

/* Lent slots become free. */
void lb_readiness_give_back(struct lb_pool *pool, const struct lb_chunk *chunk);

/* Writes the terminal event of a conn whose error is decided. */
void lb_readiness_fail(struct lb_conn *conn, struct lb_event *event);

/* Makes listeners non-blocking: several workers may wake for one peer. Returns 0 or -errno. */
int lb_readiness_prepare(const struct lb_backend_config *config);

/* What poll(2) and epoll_wait(2) take for a turn's timeout: milliseconds, rounded up, or -1. */
int lb_readiness_timeout_ms(const struct lb_turn *turn);

#endif
