/* SPDX-License-Identifier: MIT */
#ifndef METRICS_H
#define METRICS_H

#include <lastbyte/lastbyte.h>

#include <stdio.h>

/* What an engine tells of itself, for programs that ask for it by HTTP: GET /metrics, in the text
 * format of Prometheus. */

struct metrics;

#ifdef HAVE_METRICS

/* Binds the address, to which nobody answers yet. On success *result is the caller's
 * (metrics_close). Returns an exit status after telling what is wrong. */
int metrics_open(struct metrics **result, const char *address);

/* Tells where metrics are to be had. */
void metrics_tell(const struct metrics *metrics);

/* Answers from now on, in a thread for each address, about engine, which is alive until
 * metrics_close. Returns an exit status after telling what is wrong. */
int metrics_start(struct metrics *metrics, const struct lb_engine *engine);

/* No more is answered, and a socket's file is removed. metrics may be NULL. */
void metrics_close(struct metrics *metrics);

/* Writes them all. */
void metrics_write(FILE *out, const struct lb_engine *engine);

#else

/* No option asks for them. */
static inline int metrics_open(struct metrics **result, const char *address)
{
    (void)result, (void)address;
    return 0;
}

static inline void metrics_tell(const struct metrics *metrics)
{
    (void)metrics;
}

static inline int metrics_start(struct metrics *metrics, const struct lb_engine *engine)
{
    (void)metrics, (void)engine;
    return 0;
}

static inline void metrics_close(struct metrics *metrics)
{
    (void)metrics;
}

#endif

#endif
