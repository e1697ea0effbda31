/* SPDX-License-Identifier: MIT */
#include "arrivals.h"

#include "clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void arrivals_init(struct arrivals *arrivals, uint64_t streams, uint64_t stream_bytes)
{
    memset(arrivals, 0, sizeof(*arrivals));
    arrivals->streams = streams;
    arrivals->stream_bytes = stream_bytes;
}

void arrivals_wrong(struct arrivals *arrivals, const char *format, ...)
{
    va_list arguments;

    if (atomic_exchange(&arrivals->wrong, true))
        return;
    va_start(arguments, format);
    vsnprintf(arrivals->why, sizeof(arrivals->why), format, arguments);
    va_end(arguments);
}

bool arrivals_end(struct arrivals *arrivals, uint64_t bytes, int error)
{
    atomic_fetch_add(&arrivals->bytes, bytes);
    if (error)
        arrivals_wrong(arrivals, "a stream ended after %" PRIu64 " bytes without EOF: %s", bytes,
                       strerror(error));
    else if (bytes != arrivals->stream_bytes)
        arrivals_wrong(arrivals, "a stream of %" PRIu64 " bytes where %" PRIu64 " were sent", bytes,
                       arrivals->stream_bytes);
    if (atomic_fetch_add(&arrivals->ended, 1) + 1 != arrivals->streams)
        return false;
    atomic_store(&arrivals->last_end_ns, clock_now());
    return true;
}
