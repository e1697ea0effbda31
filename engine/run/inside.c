/* SPDX-License-Identifier: MIT */
#include "inside.h"

#include <errno.h>
#include <unistd.h>

static _Thread_local const struct lb_engine *here;

const struct lb_engine *lb_inside_enter(const struct lb_engine *engine)
{
    const struct lb_engine *before = here;

    here = engine;
    return before;
}

void lb_inside_left(struct lb_engine *engine)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&engine->running_lock);
    if (--engine->running == 0) {
        pthread_cond_broadcast(&engine->ended);
        /* Read by nobody: it stays readable. */
        (void)!write(engine->end_fd, &one, sizeof(one));
    }
    pthread_mutex_unlock(&engine->running_lock);
}

int lb_inside_start_committer(struct lb_engine *engine)
{
    int rc = 0;

    if (!(engine->rules.sink->flags & LB_SINK_SLOW_END))
        return 0;
    rc = lb_committer_start(&engine->committer, engine->rules.sink);
    for (unsigned i = 0; rc == 0 && i < engine->worker_count; i++)
        engine->workers[i].lane.committer = &engine->committer;
    return rc;
}

bool lb_engine_is_inside(const struct lb_engine *engine)
{
    return here == engine || lb_committer_is_here(&engine->committer);
}

int lb_engine_refuse_inside(struct lb_engine *engine, const char *function, const char *remedy)
{
    lb_note(&engine->notes, LB_NOTE_WARNING,
            "%s was called from one of the engine's own threads, which would wait for itself: %s",
            function, remedy);
    return -EDEADLK;
}
