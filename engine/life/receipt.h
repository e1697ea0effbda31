/* SPDX-License-Identifier: MIT */
/*
 * A receipt: the one line that a sender gets after its stream's end.
 *
 *     ok BYTES ALGO:DIGEST ID       the sink holds every byte safely
 *     error REASON BYTES            it does not; so many bytes it has taken
 */
#ifndef LB_RECEIPT_H
#define LB_RECEIPT_H

#include "stream.h"

enum { LB_RECEIPT_SIZE = 512 };

/* Senders of this lane get receipts. */
static inline bool lb_receipt_wanted(const struct lb_lane *lane)
{
    return lane->rules->receipt.algorithm;
}

/* The stream's line, its end being decided for good, with its newline. Returns its length. */
size_t lb_receipt_write(struct lb_stream *stream, char line[LB_RECEIPT_SIZE]);

/* The line of a peer that never became a stream. */
size_t lb_receipt_refusal(const struct lb_verdict *verdict, char line[LB_RECEIPT_SIZE]);

#endif
