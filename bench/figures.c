/* SPDX-License-Identifier: MIT */
#include "figures.h"

#include "plan.h"
#include "run.h"

#include <assert.h>
#include <string.h>

static const double mib = 1 << 20, gib = 1 << 30;

void figures_add(struct figures *figures, const char *name, double value)
{
    assert(figures->count < FIGURES_MAX);
    figures->items[figures->count].name = name;
    figures->items[figures->count++].value = value;
}

const double *figures_find(const struct figures *figures, const char *name)
{
    for (size_t i = 0; i < figures->count; i++)
        if (strcmp(figures->items[i].name, name) == 0)
            return &figures->items[i].value;
    return NULL;
}

static void add_rates(struct figures *figures, const struct plan *plan, const struct run *run)
{
    double wall = run_wall(run), amount = (double)plan_bytes(plan) / gib;

    figures_add(figures, "gib_per_s", amount / wall);
    figures_add(figures, "streams_per_s", plan->streams / wall);
    figures_add(figures, "receiver_cpu_s_per_gib", meter_cpu(&run->receiver.spent) / amount);
    figures_add(figures, "system_cpu_s_per_gib", run_system_cpu(run) / amount);
}

void figures_make(struct figures *figures, const struct plan *plan, const struct run *run)
{
    const struct meter *spent = &run->receiver.spent;

    figures_add(figures, "started_s", run->sender.started_s);
    figures_add(figures, "wall_s", run_wall(run));
    figures_add(figures, "bytes", (double)plan_bytes(plan));
    figures_add(figures, "streams", plan->streams);
    /* Of streams without a byte nothing comes per byte or second. */
    if (plan->stream_bytes > 0)
        add_rates(figures, plan, run);
    figures_add(figures, "receiver_cpu_s", meter_cpu(spent));
    figures_add(figures, "receiver_user_s", spent->user_s);
    figures_add(figures, "receiver_system_s", spent->system_s);
    figures_add(figures, "receiver_rss_kib", spent->rss_kib);
    figures_add(figures, "receiver_switches", spent->switches);
    figures_add(figures, "system_cpu_s", run_system_cpu(run));
    figures_add(figures, "steal_s", run->receiver.machine.steal_s - run->sender.machine.steal_s);
    figures_add(figures, "sender_cpu_s", meter_cpu(&run->sender.spent));
    if (plan->workload->tell)
        plan->workload->tell(plan, run, figures);
}

void figures_add_syscalls(struct figures *figures, const struct plan *plan, const struct run *run)
{
    double calls = (double)run->receiver.syscalls;

    if (run->receiver.syscalls < 0)
        return;
    if (plan->stream_bytes > 0)
        figures_add(figures, "syscalls_per_mib", calls / ((double)plan_bytes(plan) / mib));
    figures_add(figures, "syscalls_per_stream", calls / plan->streams);
}
