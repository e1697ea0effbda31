/* SPDX-License-Identifier: MIT */
/* What an engine tells of itself while it runs: lanes' counters are read, nobody waits. */
#include "clock.h"
#include "engine.h"
#include "sized.h"

#include <errno.h>

/* Processor time so far. The thread may end, and its clock with it, at any moment; before that it
 * has left its last word. */
static uint64_t cpu_ns(const struct lb_worker *worker)
{
    clockid_t clock = atomic_load(&worker->clock);
    struct timespec now = {0};
    uint64_t final;

    if (clock && clock_gettime(clock, &now) < 0)
        now = (struct timespec){0};
    final = atomic_load(&worker->cpu_ns);
    return final ? final : (uint64_t)now.tv_sec * LB_NS_PER_S + (uint64_t)now.tv_nsec;
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)LB_NS_PER_S;
}

static struct lb_stats collect_stats(const struct lb_engine *engine)
{
    uint64_t cpu = atomic_load(&engine->committer.cpu_ns);
    struct lb_stats stats = {
        LB_STATS_INIT,
        .backend = engine->rules.backend->name,
        .workers = engine->worker_count,
        .active = atomic_load(&engine->door.gate.active),
        .handshaking = atomic_load(&engine->door.gate.entering),
    };

    for (unsigned i = 0; i < engine->worker_count; i++) {
        lb_counters_add(&stats, &engine->workers[i].lane.counters);
        cpu += cpu_ns(&engine->workers[i]);
    }
    stats.cpu_seconds = seconds(cpu);
    return stats;
}

int lb_engine_stats(const struct lb_engine *engine, struct lb_stats *stats)
{
    static const struct lb_layout layout = {
        .name = "struct lb_stats",
        .first = LB_FIRST_LAYOUT(struct lb_stats, starved),
        .known = sizeof(struct lb_stats),
    };
    struct lb_stats now;

    if (!engine)
        return -EINVAL;
    now = collect_stats(engine);
    return lb_sized_give(&layout, stats, &now);
}

int lb_engine_worker_stats(const struct lb_engine *engine, unsigned index,
                           struct lb_worker_stats *stats)
{
    static const struct lb_layout layout = {
        .name = "struct lb_worker_stats",
        .first = LB_FIRST_LAYOUT(struct lb_worker_stats, slots_used),
        .known = sizeof(struct lb_worker_stats),
    };
    const struct lb_worker *worker;
    const struct lb_counters *counters;

    if (!engine)
        return -EINVAL;
    if (index >= engine->worker_count)
        return -ENOENT;
    worker = &engine->workers[index];
    counters = &worker->lane.counters;
    return lb_sized_give(
        &layout, stats,
        &(struct lb_worker_stats){
            LB_WORKER_STATS_INIT,
            .cpu_seconds = seconds(cpu_ns(worker)),
            .streams = atomic_load_explicit(&engine->door.lanes[index].load, memory_order_relaxed),
            .bytes = lb_count_read(&counters->bytes),
            .starved = lb_count_read(&counters->starved),
            .gather_us = lb_count_read(&counters->gather_ns) / 1000,
            .slots = worker->lane.pool.count,
            .slots_used = (unsigned)lb_count_read(&counters->slots_taken),
        });
}

int lb_engine_outcomes(const struct lb_engine *engine,
                       void (*take)(void *context, const struct lb_outcome *outcome), void *context)
{
    enum { ROOM = 4 * LB_REASONS_MAX };
    struct lb_outcome outcomes[ROOM];
    size_t count = 0;

    if (!engine || !take)
        return -EINVAL;
    for (unsigned i = 0; i < engine->worker_count; i++)
        count = lb_outcomes_list(outcomes, count, ROOM, &engine->workers[i].lane.counters.outcomes);
    for (size_t i = 0; i < count; i++)
        take(context, &outcomes[i]);
    return 0;
}

static struct lb_timing ends_of(const struct lb_engine *engine)
{
    struct lb_timing timing = {
        LB_TIMING_INIT,
        .name = "end",
        .help = "from a stream's end until its sink is done with it, where that takes time",
    };

    for (unsigned i = 0; i < engine->worker_count; i++)
        lb_durations_tell(&engine->workers[i].lane.counters.ends, &timing);
    return timing;
}

int lb_engine_timing(const struct lb_engine *engine, size_t index, struct lb_timing *timing)
{
    static const struct lb_layout layout = {
        .name = "struct lb_timing",
        .first = LB_FIRST_LAYOUT(struct lb_timing, sum_seconds),
        .known = sizeof(struct lb_timing),
    };
    struct lb_timing known = {LB_TIMING_INIT};
    const struct lb_sink *sink;

    if (!engine)
        return -EINVAL;
    sink = engine->rules.sink;
    if (index == 0)
        known = ends_of(engine);
    else if (!sink->timing || !sink->timing(engine->rules.sink_context, index - 1, &known))
        return -ENOENT;
    return lb_sized_give(&layout, timing, &known);
}
