/* SPDX-License-Identifier: MIT */
#include "event_log.h"

#include "console.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Prints and frees it. */
static void print_object(json_t *object)
{
    char *line = object
                     ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9))
                     : NULL;

    if (line)
        console_print("%s", line);
    else
        console_tell("--log=json: out of memory");
    free(line);
    json_decref(object);
}

/* Its name, or its number where the C library tells none. */
static json_t *name_error(int error)
{
#ifdef LB_HAVE_STRERRORNAME
    const char *name = error ? strerrorname_np(-error) : NULL;

    if (name)
        return json_string(name);
#endif
    return error ? json_sprintf("%d", -error) : json_null();
}

static json_t *number(bool known, uint64_t value)
{
    return known ? json_integer((json_int_t)value) : json_null();
}

void event_log_event(void *context, const struct lb_engine_event *event)
{
    bool ended = event->type == LB_ENGINE_ENDED,
         of_peer = ended || event->type == LB_ENGINE_REFUSED;
    double seconds = (double)(event->end_ns - event->begin_ns) / 1e9;

    (void)context;
    print_object(json_pack("{s:s, s:o, s:s?, s:s?, s:s?, s:o, s:o, s:o}",              /* */
                           "type", lb_engine_event_name(event->type),                  /* */
                           "id", number(event->id > 0, event->id),                     /* */
                           "peer", event->peer,                                        /* */
                           "end", of_peer ? lb_end_name(event->end) : NULL,            /* */
                           "reason", event->reason, "error", name_error(event->error), /* */
                           "bytes", number(of_peer, event->bytes),                     /* */
                           "seconds", of_peer ? json_real(seconds) : json_null()));
}

void event_log_note(void *context, enum lb_note_level level, const char *text)
{
    (void)context;
    print_object(json_pack("{s:s, s:s, s:o}", "type", "note", "level",
                           level == LB_NOTE_WARNING ? "warning" : "detail", "text",
                           json_stringn_nocheck(text, strlen(text))));
}
