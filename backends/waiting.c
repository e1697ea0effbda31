/* SPDX-License-Identifier: MIT */
#include "waiting.h"

static void clear(struct lb_waiting *waiting)
{
    waiting->first = NULL;
    waiting->sated = waiting->end = &waiting->first;
}

void lb_waiting_init(struct lb_waiting *waiting)
{
    clear(waiting);
    waiting->batch = 1;
}

void lb_waiting_add(struct lb_waiting *waiting, struct lb_conn *conn)
{
    if (lb_conn_part(conn)->batch == waiting->batch) {
        lb_waiting_add_last(waiting, conn);
        return;
    }
    lb_conn_part(conn)->next = *waiting->sated;
    *waiting->sated = conn;
    if (waiting->end == waiting->sated)
        waiting->end = &lb_conn_part(conn)->next;
    waiting->sated = &lb_conn_part(conn)->next;
}

void lb_waiting_add_last(struct lb_waiting *waiting, struct lb_conn *conn)
{
    lb_conn_part(conn)->next = NULL;
    *waiting->end = conn;
    waiting->end = &lb_conn_part(conn)->next;
}

struct lb_conn *lb_waiting_take(struct lb_waiting *waiting)
{
    struct lb_conn *first = waiting->first;

    clear(waiting);
    return first;
}
