/* SPDX-License-Identifier: MIT */
#include "end.h"

#include <assert.h>
#include <errno.h>

const char *lb_end_name(enum lb_end end)
{
    static const char *const names[LB_END_COUNT] = {
        [LB_END_EOF] = "eof",     [LB_END_RESET] = "reset", [LB_END_TIMEOUT] = "timeout",
        [LB_END_LIMIT] = "limit", [LB_END_SINK] = "sink",   [LB_END_STOPPED] = "stopped",
        [LB_END_ERROR] = "error",
    };

    assert((unsigned)end < LB_END_COUNT);
    return names[end];
}

enum lb_end lb_end_of_error(int error)
{
    switch (error) {
    case -ECONNRESET:
    case -EPIPE:
        return LB_END_RESET;
    /* A vanished peer: tcp(7) TCP_USER_TIMEOUT and keepalive report the last ICMP error, if one
     * came, in place of ETIMEDOUT. */
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return LB_END_TIMEOUT;
    default:
        return LB_END_ERROR;
    }
}
