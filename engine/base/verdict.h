/* SPDX-License-Identifier: MIT */
/* A verdict: how a stream ends, and why, as one value. Helpers return verdicts; life.c acts on
 * them. */
#ifndef LB_VERDICT_H
#define LB_VERDICT_H

#include <lastbyte/lastbyte.h>

struct lb_verdict {
    enum lb_end end;
    int error;       /* the -errno behind it, or 0 */
    const char *why; /* the limit behind it, or what a filter found: a static string; or NULL */
};

/* What a receive means that failed with -errno error, or found the EOF (0). */
struct lb_verdict lb_verdict_of_receive(int error);

/* The sink failed with -errno error. */
static inline struct lb_verdict lb_verdict_of_sink(int error)
{
    return (struct lb_verdict){.end = LB_END_SINK, .error = error};
}

/* Why, for a program, or NULL: what is behind it, or the error's name ("ENOSPC") where the end says
 * too little and the C library knows it. A static string. */
const char *lb_verdict_reason(const struct lb_verdict *verdict);

/* Why, for a person, or NULL: what is behind it, or the error's text. */
const char *lb_verdict_text(const struct lb_verdict *verdict);

#endif
