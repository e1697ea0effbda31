/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: what an engine tells a program of, as data. */
#ifndef LASTBYTE_EVENT_H
#define LASTBYTE_EVENT_H

#include <lastbyte/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lb_engine_event_type {
    LB_ENGINE_LISTENING,     /* one for each address, at the start; peer is the address */
    LB_ENGINE_REFUSED,       /* a peer was turned away, or its prelude failed; id is 0 then, unless
                                it is of lb_engine_adopt */
    LB_ENGINE_ENDED,         /* a stream has ended: its sink is done with it */
    LB_ENGINE_ACCEPT_PAUSED, /* accepting failed, with error, and is tried again soon */
    LB_ENGINE_CERTIFICATE,   /* of TLS: reason is "loaded", at the start; "renewed", its files have
                                changed and are in force; or "kept": they have changed and can't be
                                used, with error, so the old ones stay in force */
    LB_ENGINE_EVENT_COUNT
};

/* Lent for the call, and so is what it points to. */
struct lb_engine_event {
    size_t size LB_OWN_SIZE(lb_engine_event);
    enum lb_engine_event_type type;
    enum lb_end end;   /* REFUSED, ENDED */
    int error;         /* the -errno behind it, or 0 */
    uint64_t id;       /* of the stream; 0: none */
    uint64_t bytes;    /* that its sink has taken */
    uint64_t begin_ns; /* when the connection came, and when this happened: nanoseconds since the */
    uint64_t end_ns;   /* epoch (CLOCK_REALTIME; the time between is of a clock that is not set) */
    const char *reason; /* which limit, or what was found, in a word ("max-bytes", "denied",
                           "refused"); or NULL */
    const char *peer;   /* as lb_stream_peer says; or NULL */
};

/* "listening", "refused", "end", "accept-paused", "certificate". A static string. [any thread] */
LB_PUBLIC const char *lb_engine_event_name(enum lb_engine_event_type type);

#ifdef __cplusplus
}
#endif

#endif
