/* SPDX-License-Identifier: MIT */
#include "outcomes.h"

#include "count.h"

#include <string.h>

/* The place of what was counted before, or the first free one; NULL: there is none left. */
static struct lb_reasoned *find(struct lb_outcomes *outcomes, enum lb_outcome_kind kind,
                                enum lb_end end, const char *reason)
{
    for (size_t i = 0; i < LB_REASONS_MAX; i++) {
        struct lb_reasoned *place = &outcomes->with_reason[i];
        const char *known = atomic_load_explicit(&place->reason, memory_order_relaxed);

        if (!known || (place->kind == kind && place->end == end && strcmp(known, reason) == 0))
            return place;
    }
    return NULL;
}

void lb_outcomes_count(struct lb_outcomes *outcomes, enum lb_outcome_kind kind,
                       const struct lb_verdict *verdict)
{
    const char *reason = lb_verdict_reason(verdict);
    struct lb_reasoned *place = reason ? find(outcomes, kind, verdict->end, reason) : NULL;

    if (!place) {
        lb_count(&outcomes->without_reason[kind][verdict->end], 1);
        return;
    }
    if (!atomic_load_explicit(&place->reason, memory_order_relaxed)) {
        place->kind = kind;
        place->end = verdict->end;
        /* Whoever sees the reason sees what stands beside it. */
        atomic_store_explicit(&place->reason, reason, memory_order_release);
    }
    lb_count(&place->count, 1);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Calls take with each outcome that a lane has counted, those without a reason even if never. */
static void each(const struct lb_outcomes *outcomes,
                 void (*take)(void *context, enum lb_outcome_kind kind,
                              const struct lb_outcome *outcome),
                 void *context)
{
    for (int kind = 0; kind < LB_OUTCOME_KINDS; kind++)
        for (int end = 0; end < LB_END_COUNT; end++)
            take(context, kind,
                 &(struct lb_outcome){
                     LB_OUTCOME_INIT,
                     .end = end,
                     .reason = "",
                     .count = lb_count_read(&outcomes->without_reason[kind][end]),
                 });
    for (size_t i = 0; i < LB_REASONS_MAX; i++) {
        const struct lb_reasoned *place = &outcomes->with_reason[i];
        const char *reason = atomic_load_explicit(&place->reason, memory_order_acquire);

        if (!reason)
            return;
        take(context, place->kind,
             &(struct lb_outcome){
                 LB_OUTCOME_INIT,
                 .end = place->end,
                 .reason = reason,
                 .count = lb_count_read(&place->count),
             });
    }
}

static void add_to_stats(void *context, enum lb_outcome_kind kind, const struct lb_outcome *outcome)
{
    struct lb_stats *stats = context;

    if (kind != LB_OUTCOME_STREAM)
        stats->refused += outcome->count;
    if (kind == LB_OUTCOME_REFUSED) {
        stats->failed_preludes += outcome->count;
        return;
    }
    stats->ends[outcome->end] += outcome->count;
    stats->streams += outcome->count;
    if (kind == LB_OUTCOME_STREAM && outcome->end != LB_END_EOF)
        stats->partial += outcome->count;
    /* An eof has a reason where there is a doubt. */
    if (outcome->end == LB_END_EOF && *outcome->reason)
        stats->unproven += outcome->count;
}

void lb_outcomes_sum(struct lb_stats *stats, const struct lb_outcomes *outcomes)
{
    each(outcomes, add_to_stats, stats);
}

struct list {
    struct lb_outcome *entries;
    size_t used, room;
};

static bool is_same(const struct lb_outcome *a, const struct lb_outcome *b)
{
    return a->stream == b->stream && a->refused == b->refused && a->end == b->end &&
           strcmp(a->reason, b->reason) == 0;
}

static void add_to_list(void *context, enum lb_outcome_kind kind, const struct lb_outcome *outcome)
{
    struct list *list = context;
    struct lb_outcome more = *outcome;

    more.stream = kind != LB_OUTCOME_REFUSED;
    more.refused = kind != LB_OUTCOME_STREAM;
    for (size_t i = 0; i < list->used; i++) {
        if (is_same(&list->entries[i], &more)) {
            list->entries[i].count += more.count;
            return;
        }
    }
    /* Of what is never turned away so there is no need to speak; of the ends there is. */
    if (list->used < list->room && (more.count > 0 || kind == LB_OUTCOME_STREAM))
        list->entries[list->used++] = more;
}

size_t lb_outcomes_list(struct lb_outcome *list, size_t used, size_t room,
                        const struct lb_outcomes *outcomes)
{
    struct list all = {list, used, room};

    each(outcomes, add_to_list, &all);
    return all.used;
}
