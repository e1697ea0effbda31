/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: what an engine tells of itself besides lb_engine_stats. Counts only grow. */
#ifndef LASTBYTE_STATS_H
#define LASTBYTE_STATS_H

#include <lastbyte/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One worker, so far and now. */
struct lb_worker_stats {
    size_t size LB_OWN_SIZE(lb_worker_stats);
    double cpu_seconds;  /* user and system time of its thread: with no time to spare 1 a second */
    uint64_t streams;    /* connections that are its now */
    uint64_t bytes;      /* taken by sinks */
    uint64_t starved;    /* times data waited because every slot was in use */
    uint64_t gather_us;  /* how long it lets bytes gather now before it receives; 0: not at all */
    unsigned slots;      /* of its pool */
    unsigned slots_used; /* of them, with streams or with the backend, after its last turn */
};
#define LB_WORKER_STATS_INIT LB_SIZE_INIT(lb_worker_stats)

/* One worker's, from 0; between open and close. Returns 0, -ENOENT past the last, or -EINVAL.
 * [any thread] */
LB_PUBLIC int lb_engine_worker_stats(const struct lb_engine *engine, unsigned worker,
                                     struct lb_worker_stats *stats);

/* What became of peers, and of how many: those with the same end and the same reason. */
struct lb_outcome {
    size_t size LB_OWN_SIZE(lb_outcome);
    enum lb_end end;
    bool stream;        /* counted in lb_stats.streams, as that end */
    bool refused;       /* counted in lb_stats.refused */
    const char *reason; /* a limit ("idle"), what a filter found, an error's name ("ENOSPC"), or "";
                           of who is no stream the filter ("proxy"); valid as long as the engine */
    uint64_t count;
};
#define LB_OUTCOME_INIT LB_SIZE_INIT(lb_outcome)

/* Calls take with each outcome there was, and with each end of streams even if there was none; what
 * it gets is lent for the call. Between open and close. Returns 0 or -EINVAL. [any thread] */
LB_PUBLIC int lb_engine_outcomes(const struct lb_engine *engine,
                                 void (*take)(void *context, const struct lb_outcome *outcome),
                                 void *context);

/* How often something took how long. */
enum { LB_TIMING_MAX = 32 };

struct lb_timing {
    size_t size LB_OWN_SIZE(lb_timing);
    const char *name;               /* a word of a-z and _: "fsync"; static */
    const char *help;               /* part of a line: what it is that takes time; static */
    const double *limits;           /* in seconds, rising; static */
    size_t limit_count;             /* below LB_TIMING_MAX */
    uint64_t counts[LB_TIMING_MAX]; /* within each limit and above the one before; then the rest */
    double sum_seconds;
};
#define LB_TIMING_INIT LB_SIZE_INIT(lb_timing)

/* The index-th of the things whose durations are counted: first "end", how long it takes from a
 * stream's end until its sink is done with it, where that is not at once; then the sink's own
 * (lb_sink.timing). Between open and close. Returns 0, -ENOENT past the last, or -EINVAL.
 * [any thread] */
LB_PUBLIC int lb_engine_timing(const struct lb_engine *engine, size_t index,
                               struct lb_timing *timing);

#ifdef __cplusplus
}
#endif

#endif
