/* SPDX-License-Identifier: MIT */
#include "alarms.h"

#include <assert.h>
#include <stddef.h>

/* Of two heaps, either of which may be none, makes one. */
static struct lb_alarm *meld(struct lb_alarm *a, struct lb_alarm *b)
{
    struct lb_alarm *first, *second;

    if (!a || !b)
        return a ? a : b;
    first = a->when_ns <= b->when_ns ? a : b;
    second = first == a ? b : a;
    second->previous = first;
    second->next = first->child;
    if (first->child)
        first->child->previous = second;
    first->child = second;
    return first;
}

/* Melds the children of a heap that lost its root: by pairs, then the pairs from the last on. */
static struct lb_alarm *meld_children(struct lb_alarm *child)
{
    struct lb_alarm *pairs = NULL, *heap = NULL;

    while (child) {
        struct lb_alarm *a = child, *b = child->next, *pair;

        child = b ? b->next : NULL;
        a->next = a->previous = NULL;
        if (b)
            b->next = b->previous = NULL;
        pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct lb_alarm *pair = pairs;

        pairs = pair->next;
        pair->next = NULL;
        heap = meld(heap, pair);
    }
    return heap;
}

static void cut_out(struct lb_alarms *alarms, struct lb_alarm *alarm)
{
    struct lb_alarm *children = meld_children(alarm->child);

    if (alarm == alarms->root) {
        alarms->root = children;
    } else {
        if (alarm->previous->child == alarm)
            alarm->previous->child = alarm->next;
        else
            alarm->previous->next = alarm->next;
        if (alarm->next)
            alarm->next->previous = alarm->previous;
        alarms->root = meld(alarms->root, children);
    }
    *alarm = (struct lb_alarm){0};
}

void lb_alarm_set(struct lb_alarms *alarms, struct lb_alarm *alarm, uint64_t when_ns)
{
    assert(when_ns > 0);
    if (alarm->when_ns == when_ns)
        return;
    if (alarm->when_ns)
        cut_out(alarms, alarm);
    if (when_ns == LB_NEVER)
        return;
    alarm->when_ns = when_ns;
    alarms->root = meld(alarms->root, alarm);
}

struct lb_alarm *lb_alarms_take_due(struct lb_alarms *alarms, uint64_t now_ns)
{
    struct lb_alarm *due = alarms->root;

    if (!due || due->when_ns > now_ns)
        return NULL;
    cut_out(alarms, due);
    return due;
}
