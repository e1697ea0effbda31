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
    void (*event)(void *context,
                  const struct lb_engine_event *event); /* NULL: no program listens */
    void *event_context;
};

void lb_notes_init(struct lb_notes *notes);
void lb_notes_done(struct lb_notes *notes);

static inline bool lb_notes_wants(const struct lb_notes *notes, enum lb_note_level level)
{
    return notes->tell && level >= notes->level;
}

void lb_note(struct lb_notes *notes, enum lb_note_level level, const char *format, ...)
    LB_PRINTF(3, 4);

/* Tells a program, whose size is set here. Only if there is one. */
void lb_notes_tell_event(struct lb_notes *notes, struct lb_engine_event *event);

/* The same of what happens at this moment, if there is a program. */
void lb_notes_tell_now(struct lb_notes *notes, struct lb_engine_event event);

/* What strangers can cause must not fill a log: it is told a few times in a period, and how often
 * it went untold with the next line. Begins zeroed. */
struct lb_hush {
    _Atomic uint64_t begun_ns; /* the period */
    _Atomic unsigned told;     /* in it */
    _Atomic uint64_t untold;
};

/* Is something to be told now, which may be most times in period_ns? Then *untold is how often it
 * was not since it last was. From any thread. */
bool lb_hush_tells(struct lb_hush *hush, uint64_t now_ns, uint64_t period_ns, unsigned most,
                   uint64_t *untold);

/* ", and 3 more since the last such line", or nothing. */
enum { LB_HUSH_SIZE = 60 };
const char *lb_hush_text(uint64_t untold, char text[LB_HUSH_SIZE]);

#endif
