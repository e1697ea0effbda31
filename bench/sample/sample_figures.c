/* SPDX-License-Identifier: MIT */
#include "sample_figures.h"

static const double mib = 1 << 20, gib = 1 << 30;

static void add_rates(struct figures *figures, const struct trial *trial,
                      const struct sample *sample)
{
    double wall = sample_wall(sample), amount = (double)trial_bytes(trial) / gib;

    figures_add(figures, "gib_per_s", amount / wall);
    figures_add(figures, "streams_per_s", trial->streams / wall);
    figures_add(figures, "receiver_cpu_s_per_gib", meter_cpu(&sample->receiver.spent) / amount);
    figures_add(figures, "system_cpu_s_per_gib", sample_system_cpu(sample) / amount);
}

/* What two hosts add. */
static void add_far(struct figures *figures, const struct sender_far *far)
{
    figures_add(figures, "clock_error_us", far->clock_error_us);
    figures_add(figures, "sender_system_cpu_s", far->system_cpu_s);
    figures_add(figures, "sender_steal_s", far->steal_s);
    figures_add(figures, "sender_dropped", far->dropped);
    figures_add(figures, "sender_sent_again", far->sent_again);
    figures_add(figures, "receiver_dropped", far->receiver_dropped);
}

void sample_figures(struct figures *figures, const struct trial *trial, const struct sample *sample)
{
    const struct meter *spent = &sample->receiver.spent;

    figures_add(figures, "started_s", sample->sender.started_s);
    figures_add(figures, "wall_s", sample_wall(sample));
    figures_add(figures, "bytes", (double)trial_bytes(trial));
    figures_add(figures, "streams", trial->streams);
    /* Of streams without a byte nothing comes per byte or second. */
    if (trial->stream_bytes > 0)
        add_rates(figures, trial, sample);
    figures_add(figures, "receiver_cpu_s", meter_cpu(spent));
    figures_add(figures, "receiver_user_s", spent->user_s);
    figures_add(figures, "receiver_system_s", spent->system_s);
    figures_add(figures, "receiver_rss_kib", spent->rss_kib);
    figures_add(figures, "receiver_switches", spent->switches);
    figures_add(figures, "system_cpu_s", sample_system_cpu(sample));
    figures_add(figures, "receiver_core_cpu_s", sample_core_cpu(sample, RECEIVING));
    figures_add(figures, "sender_core_cpu_s", sample_core_cpu(sample, SENDING));
    figures_add(figures, "steal_s",
                sample->receiver.machine.steal_s - sample->sender.machine.steal_s);
    if (sample->host_gap_s >= 0)
        figures_add(figures, "host_gap_s", sample->host_gap_s);
    figures_add(figures, "sender_cpu_s", meter_cpu(&sample->sender.spent));
    if (sample->sender.far.there)
        add_far(figures, &sample->sender.far);
    if (trial->workload->tell)
        trial->workload->tell(trial, sample, figures);
}

void sample_syscall_figures(struct figures *figures, const struct trial *trial,
                            const struct sample *sample)
{
    double calls = (double)sample->receiver.syscalls;

    if (sample->receiver.syscalls < 0)
        return;
    if (trial->stream_bytes > 0)
        figures_add(figures, "syscalls_per_mib", calls / ((double)trial_bytes(trial) / mib));
    figures_add(figures, "syscalls_per_stream", calls / trial->streams);
}
