/* SPDX-License-Identifier: MIT */
#include "schedule.h"

#include <sys/mman.h>

struct schedule *schedule_open(void)
{
    struct schedule *schedule =
        mmap(NULL, sizeof(*schedule), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return schedule == MAP_FAILED ? NULL : schedule;
}

void schedule_close(struct schedule *schedule)
{
    if (schedule)
        munmap(schedule, sizeof(*schedule));
}

void schedule_note(struct schedule *schedule, const struct schedule_step *step)
{
    static const struct schedule_step none = {0};
    const struct schedule_step *last =
        schedule->count > 0 ? &schedule->steps[schedule->count - 1] : &none;

    if (last->gather_ns == step->gather_ns && last->spares == step->spares)
        return;
    if (schedule->count < SCHEDULE_MAX)
        schedule->steps[schedule->count++] = *step;
}

struct schedule_step schedule_at(const struct schedule *schedule, uint64_t ns, size_t *next)
{
    while (*next < schedule->count && schedule->steps[*next].from_ns <= ns)
        (*next)++;
    return *next > 0 ? schedule->steps[*next - 1] : (struct schedule_step){0};
}
