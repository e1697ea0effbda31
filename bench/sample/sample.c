/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct sample *sample_open(void)
{
    struct sample *sample =
        mmap(NULL, sizeof(*sample), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return sample == MAP_FAILED ? NULL : sample;
}

void sample_close(struct sample *sample)
{
    if (sample)
        munmap(sample, sizeof(*sample));
}

int sample_fail(struct sample *sample, const char *format, ...)
{
    va_list arguments;

    if (sample->why[0])
        return -1;
    va_start(arguments, format);
    vsnprintf(sample->why, sizeof(sample->why), format, arguments);
    va_end(arguments);
    return -1;
}

double sample_wall(const struct sample *sample)
{
    return (double)(sample->arrivals.last_end_ns - sample->sender.begin_ns) / 1e9;
}

double sample_system_cpu(const struct sample *sample)
{
    return sample->receiver.machine.busy_s - sample->sender.machine.busy_s;
}

double sample_core_cpu(const struct sample *sample, unsigned side)
{
    return sample->receiver.machine.core_busy_s[side] - sample->sender.machine.core_busy_s[side];
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid;
}

bool sample_child_ended(const struct sample *sample)
{
    return has_ended(sample->receiver_pid) || has_ended(sample->sender_pid);
}
