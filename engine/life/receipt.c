/* SPDX-License-Identifier: MIT */
#include "receipt.h"

#include "stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REASON_SIZE = 64 };

/* One token: the end, and the detail that is known. */
static void write_reason(char reason[REASON_SIZE], const struct lb_verdict *verdict)
{
    const char *end = lb_end_name(verdict->end), *why = lb_verdict_reason(verdict);

    if (why)
        snprintf(reason, REASON_SIZE, "%s:%s", end, why);
    else if (verdict->error < 0 && (verdict->end == LB_END_SINK || verdict->end == LB_END_ERROR))
        snprintf(reason, REASON_SIZE, "%s:%d", end, -verdict->error);
    else
        snprintf(reason, REASON_SIZE, "%s", end);
}

static size_t write_error(char line[LB_RECEIPT_SIZE], const struct lb_verdict *verdict,
                          uint64_t bytes)
{
    char reason[REASON_SIZE];

    write_reason(reason, verdict);
    return (size_t)snprintf(line, LB_RECEIPT_SIZE, "error %s %" PRIu64 "\n", reason, bytes);
}

size_t lb_receipt_refusal(const struct lb_verdict *verdict, char line[LB_RECEIPT_SIZE])
{
    return write_error(line, verdict, 0);
}

size_t lb_receipt_write(struct lb_stream *stream, char line[LB_RECEIPT_SIZE])
{
    struct lb_meter *meter = &stream->session.meter;
    char digest[LB_DIGEST_TEXT_SIZE], stamp[LB_STAMP_SIZE];
    const char *id;
    int rc;

    if (stream->verdict.end != LB_END_EOF)
        return write_error(line, &stream->verdict, meter->bytes);
    rc = lb_digest_finish(&meter->digest, digest);
    if (rc < 0)
        return write_error(line, &(struct lb_verdict){.end = LB_END_ERROR, .error = rc},
                           meter->bytes);
    /* The sink's own name for the stream, if it has one that will do, or a new one. */
    id = lb_session_receipt_id(stream);
    if (!id)
        lb_stamp_make(stamp);
    return (size_t)snprintf(line, LB_RECEIPT_SIZE, "ok %" PRIu64 " %s:%s %s\n", meter->bytes,
                            lb_digest_name(&stream->lane->rules->receipt), digest, id ? id : stamp);
}
