/* SPDX-License-Identifier: MIT */
#ifndef EVENT_LOG_H
#define EVENT_LOG_H

#include <lastbyte/lastbyte.h>

/* --log=json: what an engine tells, as one JSON object a line on standard error. For struct
 * lb_config: its event and its note. */
void event_log_event(void *context, const struct lb_engine_event *event);
void event_log_note(void *context, enum lb_note_level level, const char *text);

#endif
