/* SPDX-License-Identifier: MIT */
#include "notes.h"

#include <stdarg.h>
#include <stdio.h>

enum { NOTE_SIZE = 600 };

void lb_notes_init(struct lb_notes *notes)
{
    *notes = (struct lb_notes){.level = LB_NOTE_WARNING};
    pthread_mutex_init(&notes->lock, NULL);
}

void lb_notes_done(struct lb_notes *notes)
{
    pthread_mutex_destroy(&notes->lock);
}

void lb_note(struct lb_notes *notes, enum lb_note_level level, const char *format, ...)
{
    char text[NOTE_SIZE];
    va_list arguments;

    if (!lb_notes_wants(notes, level))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&notes->lock);
    notes->tell(notes->context, level, text);
    pthread_mutex_unlock(&notes->lock);
}

bool lb_hush_tells(struct lb_hush *hush, uint64_t now_ns, uint64_t period_ns, uint64_t *untold)
{
    uint64_t told_ns = atomic_load(&hush->told_ns);

    if ((told_ns == 0 || now_ns - told_ns >= period_ns) &&
        atomic_compare_exchange_strong(&hush->told_ns, &told_ns, now_ns)) {
        *untold = atomic_exchange(&hush->untold, 0);
        return true;
    }
    atomic_fetch_add(&hush->untold, 1);
    return false;
}
