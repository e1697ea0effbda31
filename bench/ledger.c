/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ledger_init(struct ledger *ledger, uint64_t streams, uint64_t stream_bytes)
{
    memset(ledger, 0, sizeof(*ledger));
    ledger->streams = streams;
    ledger->stream_bytes = stream_bytes;
}

void ledger_wrong(struct ledger *ledger, const char *format, ...)
{
    va_list arguments;

    if (atomic_exchange(&ledger->wrong, true))
        return;
    va_start(arguments, format);
    vsnprintf(ledger->why, sizeof(ledger->why), format, arguments);
    va_end(arguments);
}

bool ledger_end(struct ledger *ledger, uint64_t bytes, int error)
{
    atomic_fetch_add(&ledger->bytes, bytes);
    if (error)
        ledger_wrong(ledger, "a stream ended after %" PRIu64 " bytes without EOF: %s", bytes,
                     strerror(error));
    else if (bytes != ledger->stream_bytes)
        ledger_wrong(ledger, "a stream of %" PRIu64 " bytes where %" PRIu64 " were sent", bytes,
                     ledger->stream_bytes);
    if (atomic_fetch_add(&ledger->ended, 1) + 1 != ledger->streams)
        return false;
    atomic_store(&ledger->last_end_ns, clock_now());
    return true;
}
