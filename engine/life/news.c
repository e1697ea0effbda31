/* SPDX-License-Identifier: MIT */
#include "news.h"

#include "clock.h"

#include <time.h>

const char *lb_engine_event_name(enum lb_engine_event_type type)
{
    static const char *const names[LB_ENGINE_EVENT_COUNT] = {
        [LB_ENGINE_LISTENING] = "listening",
        [LB_ENGINE_REFUSED] = "refused",
        [LB_ENGINE_ENDED] = "end",
        [LB_ENGINE_ACCEPT_PAUSED] = "accept-paused",
        [LB_ENGINE_CERTIFICATE] = "certificate",
    };

    return (unsigned)type < LB_ENGINE_EVENT_COUNT ? names[type] : "unknown";
}

void lb_news_of_stream(const struct lb_stream *stream, enum lb_engine_event_type type)
{
    const struct lb_verdict *verdict = &stream->verdict;
    struct lb_notes *notes = stream->lane->notes;
    struct lb_engine_event event = {.type = type};
    char peer[LB_PEER_SIZE];

    if (!notes->event)
        return;
    event.end = verdict->end;
    event.error = verdict->error;
    event.id = lb_stream_number(stream);
    event.bytes = lb_stream_bytes(stream);
    event.end_ns = lb_clock_read(CLOCK_REALTIME);
    event.begin_ns = event.end_ns - (lb_clock_ns() - stream->begun_ns);
    event.reason = verdict->why;
    event.peer = lb_stream_peer(stream, peer);
    lb_notes_tell_event(notes, &event);
}

void lb_news_of_pause(struct lb_notes *notes, int error)
{
    lb_notes_tell_now(notes,
                      (struct lb_engine_event){.type = LB_ENGINE_ACCEPT_PAUSED, .error = error});
}

void lb_news_of_certificate(struct lb_notes *notes)
{
    lb_notes_tell_now(notes,
                      (struct lb_engine_event){.type = LB_ENGINE_CERTIFICATE, .reason = "loaded"});
}

void lb_news_of_listener(struct lb_notes *notes, const char *address)
{
    lb_notes_tell_now(notes,
                      (struct lb_engine_event){.type = LB_ENGINE_LISTENING, .peer = address});
}
