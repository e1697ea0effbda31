/* SPDX-License-Identifier: MIT */
/* Notes: what a person may want to know, told from any thread, one at a time. */
#ifndef LB_NOTES_H
#define LB_NOTES_H

#include "error.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LB_NOTE_SIZE = 600 };

struct lb_notes {
    void (*tell)(void *context, enum lb_note_level level,
                 const char *text); /* NULL: nobody listens */
    void *context;
    enum lb_note_level level; /* the least that is told */
    pthread_mutex_t lock;
    char later[LB_NOTE_SIZE]; /* told from within tell: its turn comes after it; else empty */
    enum lb_note_level later_level;
};

void lb_notes_init(struct lb_notes *notes);
void lb_notes_done(struct lb_notes *notes);

static inline bool lb_notes_wants(const struct lb_notes *notes, enum lb_note_level level)
{
    return notes->tell && level >= notes->level;
}

void lb_note(struct lb_notes *notes, enum lb_note_level level, const char *format, ...)
    LB_PRINTF(3, 4);

/* What strangers can cause must not fill a log: whether something is to be told now, which it was
 * not for period_ns, and how often it went untold meanwhile. Begins zeroed. */
struct lb_hush {
    _Atomic uint64_t told_ns;
    _Atomic uint64_t untold;
};

bool lb_hush_tells(struct lb_hush *hush, uint64_t now_ns, uint64_t period_ns, uint64_t *untold);

#endif
