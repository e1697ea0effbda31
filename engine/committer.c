/* SPDX-License-Identifier: MIT */
#include "committer.h"

#include "clock.h"
#include "delivery.h"
#include "worker.h"

static struct lb_stream *next_stream(struct lb_committer *committer)
{
    struct lb_stream *stream;

    pthread_mutex_lock(&committer->lock);
    while (!committer->first && !committer->stopping)
        pthread_cond_wait(&committer->wake, &committer->lock);
    stream = committer->first;
    if (stream)
        committer->first = stream->queued;
    pthread_mutex_unlock(&committer->lock);
    return stream;
}

static void *run(void *argument)
{
    struct lb_committer *committer = argument;
    struct lb_stream *stream;

    while ((stream = next_stream(committer))) {
        stream->end_result = lb_delivery_commit(stream);
        atomic_store(&committer->cpu_ns, lb_clock_read(CLOCK_THREAD_CPUTIME_ID));
        lb_worker_committed(stream->worker, stream);
    }
    return NULL;
}

int lb_committer_start(struct lb_committer *committer)
{
    int rc;

    pthread_mutex_init(&committer->lock, NULL);
    pthread_cond_init(&committer->wake, NULL);
    committer->first = committer->last = NULL;
    committer->stopping = false;
    rc = pthread_create(&committer->thread, NULL, run, committer);
    committer->running = rc == 0;
    if (rc != 0) {
        pthread_cond_destroy(&committer->wake);
        pthread_mutex_destroy(&committer->lock);
    }
    return -rc;
}

void lb_committer_stop(struct lb_committer *committer)
{
    if (!committer->running)
        return;
    pthread_mutex_lock(&committer->lock);
    committer->stopping = true;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
    pthread_join(committer->thread, NULL);
    pthread_cond_destroy(&committer->wake);
    pthread_mutex_destroy(&committer->lock);
    committer->running = false;
}

void lb_committer_submit(struct lb_committer *committer, struct lb_stream *stream)
{
    stream->queued = NULL;
    pthread_mutex_lock(&committer->lock);
    if (committer->first)
        committer->last->queued = stream;
    else
        committer->first = stream;
    committer->last = stream;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
}
