/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include "bar.h"
#include "console.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

double progress_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress_rate_begin(struct progress_rate *rate, double now)
{
    *rate = (struct progress_rate){.seconds = now};
}

void progress_rate_take(struct progress_rate *rate, double now, uint64_t bytes)
{
    const double weight = 0.4;
    double passed = now - rate->seconds;
    double more = bytes > rate->bytes ? (double)(bytes - rate->bytes) : 0;
    bool first = rate->bytes == 0;

    if (passed < 1e-3)
        return;
    rate->rate = first ? more / passed : rate->rate + weight * (more / passed - rate->rate);
    rate->seconds = now;
    rate->bytes = bytes;
}

void progress_init(struct progress *progress, uint64_t size)
{
    *progress = (struct progress){.size = size};
    progress_rate_begin(&progress->rate, progress_clock());
}

void progress_received(struct progress *progress, const struct lb_stats *stats)
{
    char name[80], line[BAR_SIZE + 120], figures[BAR_SIZE];
    unsigned columns = console_columns();
    double passed = progress_clock() - progress->rate.seconds;
    double cpu = passed > 1e-3 ? (stats->cpu_seconds - progress->cpu_seconds) / passed * 100 : 0;

    progress->cpu_seconds = stats->cpu_seconds;
    progress_rate_take(&progress->rate, progress_clock(), stats->bytes);
    snprintf(name, sizeof(name), "%" PRIu64 " stream%s, %" PRIu64 " ended", stats->active,
             stats->active == 1 ? "" : "s", stats->streams);
    struct bar bar = {name, stats->bytes, progress->size, progress->size > 0, progress->rate.rate};
    if (columns && bar.sized) {
        bar_draw(&bar, columns, console_has_colour(), line);
    } else {
        bar_figures(&bar, BAR_SIZE, figures);
        snprintf(line, sizeof(line), "%s, %s, CPU %.0f %%", name, figures, cpu);
    }
    if (columns)
        bar_cut(line, columns);
    console_live(line);
}
