/* SPDX-License-Identifier: MIT */
/* What the backends keep of a conn, in the tail that the contract leaves them. */
#ifndef LB_CONN_H
#define LB_CONN_H

#include "backend.h"

struct lb_conn_part {
    int error;            /* of the terminal event, when that is decided already */
    bool awaiting;        /* receiving: only that it is readable is asked for */
    bool once;            /* stop after one chunk */
    bool armed;           /* the kernel watches it */
    unsigned batch;       /* the number of the last batch that brought it data, or of tries */
    struct lb_conn *next; /* in one of the backend's lists */
};

_Static_assert(sizeof(struct lb_conn_part) <= LB_CONN_TAIL, "the tail is too short");

static inline struct lb_conn_part *lb_conn_part(const struct lb_conn *conn)
{
    return (struct lb_conn_part *)(uintptr_t)conn->tail;
}

#endif
