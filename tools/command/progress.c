/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include "console.h"
#include "value.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

double progress_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress_init(struct progress *progress)
{
    *progress = (struct progress){.seconds = progress_clock()};
}

/* Writes "1.25 GiB, 812 MiB/s" and returns the seconds since the last line. */
static double advance(struct progress *progress, uint64_t bytes, char *text, size_t size)
{
    char amount[VALUE_TEXT_SIZE], rate[VALUE_TEXT_SIZE];
    double now = progress_clock();
    double passed = now - progress->seconds;
    /* A stream that is sent again takes its bytes back. */
    double more = bytes > progress->bytes ? (double)(bytes - progress->bytes) : 0;

    if (passed < 1e-3)
        passed = 1e-3;
    value_amount_text((double)bytes, amount);
    value_amount_text(more / passed, rate);
    snprintf(text, size, "%s, %s/s", amount, rate);
    progress->seconds = now;
    progress->bytes = bytes;
    return passed;
}

void progress_received(struct progress *progress, const struct lb_stats *stats)
{
    char line[200], amounts[2 * VALUE_TEXT_SIZE + 8];
    double passed = advance(progress, stats->bytes, amounts, sizeof(amounts));

    snprintf(line, sizeof(line), "%" PRIu64 " stream%s, %" PRIu64 " ended, %s, CPU %.0f %%",
             stats->active, stats->active == 1 ? "" : "s", stats->streams, amounts,
             (stats->cpu_seconds - progress->cpu_seconds) / passed * 100);
    progress->cpu_seconds = stats->cpu_seconds;
    console_live(line);
}

void progress_sent(struct progress *progress, size_t done, size_t count, uint64_t bytes)
{
    char line[200], amounts[2 * VALUE_TEXT_SIZE + 8];

    advance(progress, bytes, amounts, sizeof(amounts));
    snprintf(line, sizeof(line), "%zu of %zu streams sent, %s", done, count, amounts);
    console_live(line);
}
