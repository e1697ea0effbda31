/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "console.h"
#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* "3 eof, 1 reset", without the ends that nothing came to. */
static void list_ends(const struct lb_stats *stats, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (int end = 0; end < LB_END_COUNT; end++) {
        if (!stats->ends[end] || used >= size)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64 " %s", used ? ", " : "",
                                 stats->ends[end], lb_end_name((enum lb_end)end));
    }
}

void report_text(const struct lb_stats *stats, double wall_seconds)
{
    const double gib = (double)(1 << 30);
    double amount = (double)stats->bytes / gib;
    char ends[256], bytes[VALUE_TEXT_SIZE], each[64] = "", refused[40] = "", empty[40] = "";

    list_ends(stats, ends, sizeof(ends));
    value_amount_text((double)stats->bytes, bytes);
    if (stats->refused)
        snprintf(refused, sizeof(refused), "; %" PRIu64 " turned away", stats->refused);
    if (stats->empty)
        snprintf(empty, sizeof(empty), "; %" PRIu64 " without a byte", stats->empty);
    console_print("%" PRIu64 " stream%s%s%s%s%s%s, %s in %.3f s, %.3f GiB/s", stats->streams,
                  stats->streams == 1 ? "" : "s", ends[0] ? " (" : "", ends, refused,
                  ends[0] ? ")" : "", empty, bytes, wall_seconds,
                  wall_seconds > 0 ? amount / wall_seconds : 0);
    /* Of a few bytes the start and the end of the threads would be the answer. */
    if (stats->bytes >= 1 << 20)
        snprintf(each, sizeof(each), ", %.3f s/GiB", stats->cpu_seconds / amount);
    console_print("CPU %.3f s%s, backend %s, %u worker%s", stats->cpu_seconds, each, stats->backend,
                  stats->workers, stats->workers == 1 ? "" : "s");
}

int report_json(const struct lb_stats *stats, double wall_seconds)
{
    json_t *ends = json_object();

    for (int end = 0; end < LB_END_COUNT; end++)
        json_object_set_new(ends, lb_end_name((enum lb_end)end),
                            json_integer((json_int_t)stats->ends[end]));
    json_t *object =
        json_pack("{s:s, s:i, s:f, s:f, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                  "backend", stats->backend, "workers", (int)stats->workers,                  /* */
                  "wall_seconds", wall_seconds, "cpu_seconds", stats->cpu_seconds,            /* */
                  "bytes", (json_int_t)stats->bytes, "accepted", (json_int_t)stats->accepted, /* */
                  "streams", (json_int_t)stats->streams, "ends", ends,                        /* */
                  "refused", (json_int_t)stats->refused, "empty", (json_int_t)stats->empty,   /* */
                  "partial", (json_int_t)stats->partial, "waits", (json_int_t)stats->waits,   /* */
                  "unproven", (json_int_t)stats->unproven,                                    /* */
                  "receives", (json_int_t)stats->receives, "starved", (json_int_t)stats->starved);
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;

    if (line)
        console_print("%s", line);
    free(line);
    json_decref(object);
    return line ? 0 : -ENOMEM;
}
