/* SPDX-License-Identifier: MIT */
#include "notes.h"

#include "clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Those whose tell this thread is in. */
static _Thread_local const struct lb_notes *telling;

void lb_notes_init(struct lb_notes *notes)
{
    *notes = (struct lb_notes){.level = LB_NOTE_WARNING};
    pthread_mutex_init(&notes->lock, NULL);
}

void lb_notes_done(struct lb_notes *notes)
{
    pthread_mutex_destroy(&notes->lock);
}

/* The lock is this thread's already. One is enough, and there may be no end of them: what they are
 * about is done in tell. */
static void keep_for_later(struct lb_notes *notes, enum lb_note_level level, const char *text)
{
    memcpy(notes->later, text, sizeof(notes->later));
    notes->later_level = level;
}

/* The lock is held. What was kept for later has its turn now. */
static void tell_later(struct lb_notes *notes)
{
    char later[LB_NOTE_SIZE];

    if (!notes->later[0])
        return;
    memcpy(later, notes->later, sizeof(later));
    notes->tell(notes->context, notes->later_level, later);
    notes->later[0] = '\0';
}

static void tell(struct lb_notes *notes, enum lb_note_level level, const char *text)
{
    const struct lb_notes *before = telling;

    pthread_mutex_lock(&notes->lock);
    telling = notes;
    notes->tell(notes->context, level, text);
    tell_later(notes);
    telling = before;
    pthread_mutex_unlock(&notes->lock);
}

void lb_notes_tell_event(struct lb_notes *notes, struct lb_engine_event *event)
{
    const struct lb_notes *before = telling;

    event->size = sizeof(*event);
    pthread_mutex_lock(&notes->lock);
    telling = notes;
    notes->event(notes->event_context, event);
    tell_later(notes);
    telling = before;
    pthread_mutex_unlock(&notes->lock);
}

void lb_notes_tell_now(struct lb_notes *notes, struct lb_engine_event event)
{
    if (!notes->event)
        return;
    event.begin_ns = event.end_ns = lb_clock_read(CLOCK_REALTIME);
    lb_notes_tell_event(notes, &event);
}

void lb_note(struct lb_notes *notes, enum lb_note_level level, const char *format, ...)
{
    char text[LB_NOTE_SIZE];
    va_list arguments;

    if (!lb_notes_wants(notes, level))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (telling == notes)
        keep_for_later(notes, level, text);
    else
        tell(notes, level, text);
}

bool lb_hush_tells(struct lb_hush *hush, uint64_t now_ns, uint64_t period_ns, unsigned most,
                   uint64_t *untold)
{
    uint64_t begun_ns = atomic_load(&hush->begun_ns);

    if ((begun_ns == 0 || now_ns - begun_ns >= period_ns) &&
        atomic_compare_exchange_strong(&hush->begun_ns, &begun_ns, now_ns))
        atomic_store(&hush->told, 0);
    if (atomic_load(&hush->told) < most && atomic_fetch_add(&hush->told, 1) < most) {
        *untold = atomic_exchange(&hush->untold, 0);
        return true;
    }
    atomic_fetch_add(&hush->untold, 1);
    return false;
}

const char *lb_hush_text(uint64_t untold, char text[LB_HUSH_SIZE])
{
    text[0] = '\0';
    if (untold > 0)
        snprintf(text, LB_HUSH_SIZE, ", and %llu more since the last such line",
                 (unsigned long long)untold);
    return text;
}
