/* SPDX-License-Identifier: MIT */
#include "meter.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void meter_read(struct meter *meter)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    *meter = (struct meter){
        .user_s = seconds(usage.ru_utime),
        .system_s = seconds(usage.ru_stime),
        .rss_kib = (double)usage.ru_maxrss,
        .switches = (double)usage.ru_nvcsw,
    };
}

struct meter meter_between(const struct meter *before, const struct meter *after)
{
    return (struct meter){
        .user_s = after->user_s - before->user_s,
        .system_s = after->system_s - before->system_s,
        .rss_kib = after->rss_kib,
        .switches = after->switches - before->switches,
    };
}

/* Reads path's first bytes into text. */
static int read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t length;

    if (!file)
        return -errno;
    length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
    return 0;
}

/* The line of text that begins with name: seconds spent, and stolen. */
static int read_line(const char *text, const char *name, double *busy_s, double *steal_s)
{
    double user, nice, system, idle, iowait, irq, softirq, steal;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    size_t length = strlen(name);

    while (text && strncmp(text, name, length) != 0) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    if (!text || sscanf(text + length, "%lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system,
                        &idle, &iowait, &irq, &softirq, &steal) != 8)
        return -EPROTO;
    *busy_s = (user + nice + system + irq + softirq) / ticks;
    *steal_s = steal / ticks;
    return 0;
}

int machine_time_read(struct machine_time *time, const int cores[2])
{
    char text[16384], name[16];
    double stolen;
    int rc = read_text("/proc/stat", text, sizeof(text));

    if (rc == 0)
        rc = read_line(text, "cpu ", &time->busy_s, &time->steal_s);
    for (int i = 0; rc == 0 && i < 2; i++) {
        snprintf(name, sizeof(name), "cpu%d ", cores[i]);
        if (read_line(text, name, &time->core_busy_s[i], &stolen) < 0)
            time->core_busy_s[i] = 0;
    }
    return rc;
}

int meter_resident(pid_t pid, uint64_t *bytes)
{
    char path[64], text[2048];
    const char *line;
    uint64_t kib;
    int rc;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    rc = read_text(path, text, sizeof(text));
    if (rc < 0)
        return rc;
    line = strstr(text, "\nRss:");
    if (!line || sscanf(line, "\nRss: %" SCNu64 " kB", &kib) != 1)
        return -EPROTO;
    *bytes = kib << 10;
    return 0;
}

int meter_process_cpu(pid_t pid, uint64_t *ns)
{
    clockid_t clock;
    int rc = clock_getcpuclockid(pid, &clock);

    if (rc != 0)
        return -rc;
    *ns = clock_read(clock);
    return 0;
}
