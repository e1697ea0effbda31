/* SPDX-License-Identifier: MIT */
/* What became of a lane's peers, counted by end and reason: written by its thread alone, read by
 * any. Its memory is fixed; reasons beyond it count as none. */
#ifndef LB_OUTCOMES_H
#define LB_OUTCOMES_H

#include "verdict.h"

#include <stdatomic.h>

enum lb_outcome_kind {
    LB_OUTCOME_STREAM,         /* it was received */
    LB_OUTCOME_REFUSED_STREAM, /* it has a number and an end, but was turned away */
    LB_OUTCOME_REFUSED,        /* turned away, and no stream */
    LB_OUTCOME_KINDS
};

enum { LB_REASONS_MAX = 64 };

/* Fixed once it is there, but for the count. */
struct lb_reasoned {
    _Atomic(const char *) reason; /* NULL: a free place, and so are those behind it */
    enum lb_outcome_kind kind;
    enum lb_end end;
    _Atomic uint64_t count;
};

struct lb_outcomes {
    _Atomic uint64_t without_reason[LB_OUTCOME_KINDS][LB_END_COUNT];
    struct lb_reasoned with_reason[LB_REASONS_MAX];
};

void lb_outcomes_count(struct lb_outcomes *outcomes, enum lb_outcome_kind kind,
                       const struct lb_verdict *verdict);

/* Adds one lane's to stats: ends, streams, refused, failed_preludes, partial, unproven. */
void lb_outcomes_sum(struct lb_stats *stats, const struct lb_outcomes *outcomes);

/* Adds one lane's to a list of used entries, merged by kind, end and reason, as far as there is
 * room. Returns how many are used. */
size_t lb_outcomes_list(struct lb_outcome *list, size_t used, size_t room,
                        const struct lb_outcomes *outcomes);

#endif
