/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "plan.h"

#include <stdio.h>
#include <string.h>

/* [[bucket, count], ...] of those that have a count. */
static json_t *lag_write(const struct histogram *histogram)
{
    json_t *list = json_array();

    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = histogram->buckets[i];

        if (count > 0)
            json_array_append_new(list, json_pack("[i, I]", i, (json_int_t)count));
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "count", (json_int_t)histogram->count, /* */
                     "sum", (json_int_t)histogram->sum,                             /* */
                     "max", (json_int_t)histogram->max, "buckets", list);
}

static int lag_read(struct histogram *histogram, const json_t *object)
{
    json_int_t count, sum, max, bucket_count;
    json_t *list, *entry;
    size_t index;
    int bucket;

    if (json_unpack((json_t *)object, "{s:I, s:I, s:I, s:o}", "count", &count, "sum", &sum, "max",
                    &max, "buckets", &list) < 0)
        return -1;
    histogram->count = (uint64_t)count;
    histogram->sum = (uint64_t)sum;
    histogram->max = (uint64_t)max;
    json_array_foreach(list, index, entry)
    {
        if (json_unpack(entry, "[i, I]", &bucket, &bucket_count) < 0 || bucket < 0 ||
            bucket >= HISTOGRAM_BUCKETS)
            return -1;
        histogram->buckets[bucket] = (uint64_t)bucket_count;
    }
    return 0;
}

json_t *report_write(const struct sender_report *report, const struct machine_time *after,
                     const struct losses *before, const struct losses *then)
{
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:o}", "why",
                     report->why, "begin_ns", (json_int_t)report->begin_ns,              /* */
                     "connected", (json_int_t)report->connected,                         /* */
                     "user_s", report->spent.user_s, "system_s", report->spent.system_s, /* */
                     "rss_kib", report->spent.rss_kib, "switches", report->spent.switches,
                     "system_cpu_s", after->busy_s - report->machine.busy_s,   /* */
                     "steal_s", after->steal_s - report->machine.steal_s,      /* */
                     "dropped", (json_int_t)(then->dropped - before->dropped), /* */
                     "sent_again", (json_int_t)(then->sent_again - before->sent_again), "lag",
                     lag_write(&report->lag));
}

int report_read(struct sender_report *report, const json_t *object, int64_t ahead_ns)
{
    json_int_t begin_ns, connected, dropped, sent_again;
    struct sender_far *far = &report->far;
    struct meter *spent = &report->spent;
    const char *why;
    json_t *lag;

    if (json_unpack((json_t *)object,
                    "{s:s, s:I, s:I, s:F, s:F, s:F, s:F, s:F, s:F, s:I, s:I, s:o}", /* */
                    "why", &why, "begin_ns", &begin_ns, "connected", &connected,    /* */
                    "user_s", &spent->user_s, "system_s", &spent->system_s,         /* */
                    "rss_kib", &spent->rss_kib, "switches", &spent->switches,       /* */
                    "system_cpu_s", &far->system_cpu_s, "steal_s", &far->steal_s,   /* */
                    "dropped", &dropped, "sent_again", &sent_again, "lag", &lag) < 0 ||
        lag_read(&report->lag, lag) < 0) {
        snprintf(report->why, sizeof(report->why), "its report is not one");
        return -1;
    }
    snprintf(report->why, sizeof(report->why), "%s", why);
    report->begin_ns = (uint64_t)(begin_ns + ahead_ns);
    report->started_s =
        clock_seconds(clock_read(CLOCK_REALTIME)) - clock_seconds(clock_now() - report->begin_ns);
    report->connected = (uint64_t)connected;
    far->dropped = (double)dropped;
    far->sent_again = (double)sent_again;
    return report->why[0] ? -1 : 0;
}
