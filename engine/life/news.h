/* SPDX-License-Identifier: MIT */
/* News: what has become of a stream, for a program (lb_config.event). What a person reads of it are
 * notes (ending.h). */
#ifndef LB_NEWS_H
#define LB_NEWS_H

#include "stream.h"

/* Its verdict is decided: it has ended so, or was turned away. */
void lb_news_of_stream(const struct lb_stream *stream, enum lb_engine_event_type type);

/* Accepting has failed with -errno error. */
void lb_news_of_pause(struct lb_notes *notes, int error);

/* The one of TLS is in force from the start; later ones are the filter's to tell. */
void lb_news_of_certificate(struct lb_notes *notes);

/* Peers may connect there. */
void lb_news_of_listener(struct lb_notes *notes, const char *address);

#endif
