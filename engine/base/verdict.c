/* SPDX-License-Identifier: MIT */
#include "verdict.h"

#include <errno.h>
#include <string.h>

const char *lb_end_name(enum lb_end end)
{
    static const char *const names[LB_END_COUNT] = {
        [LB_END_EOF] = "eof",     [LB_END_RESET] = "reset",         [LB_END_TIMEOUT] = "timeout",
        [LB_END_LIMIT] = "limit", [LB_END_SINK] = "sink",           [LB_END_STOPPED] = "stopped",
        [LB_END_ERROR] = "error", [LB_END_TRUNCATED] = "truncated",
    };

    return (unsigned)end < LB_END_COUNT ? names[end] : "unknown";
}

static enum lb_end end_of(int error)
{
    switch (error) {
    case 0:
        return LB_END_EOF;
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

struct lb_verdict lb_verdict_of_receive(int error)
{
    return (struct lb_verdict){.end = end_of(error), .error = error};
}

const char *lb_verdict_reason(const struct lb_verdict *verdict)
{
#ifdef LB_HAVE_STRERRORNAME
    if (!verdict->why && verdict->error < 0 &&
        (verdict->end == LB_END_SINK || verdict->end == LB_END_ERROR))
        return strerrorname_np(-verdict->error);
#endif
    return verdict->why;
}

const char *lb_verdict_text(const struct lb_verdict *verdict)
{
    return verdict->why || !verdict->error ? verdict->why : strerror(-verdict->error);
}
