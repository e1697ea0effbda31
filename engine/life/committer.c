/* SPDX-License-Identifier: MIT */
#include "committer.h"

#include "clock.h"

#include <sys/prctl.h>
#include <time.h>

/* How long a stream waits for others to be settled with: well below what a disk needs to sync. */
#define GROUP_NS (2 * LB_NS_PER_MS)

/* Whose this thread is. */
static _Thread_local const struct lb_committer *here;

static void hand_back(struct lb_stream *stream, int result)
{
    stream->end_result = result;
    stream->letter.kind = LB_LETTER_COMMITTED;
    lb_inbox_post(&stream->lane->inbox, &stream->letter);
}

/* The lock is held, but not while the sink works. */
static void end_one(struct lb_committer *committer)
{
    struct lb_stream *stream = lb_stream_queue_take(&committer->submitted);
    int result;

    committer->ending++;
    /* Somebody else has to look after those that wait to be settled. */
    if (committer->unsettled.count > 0)
        pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
    /* What others held up is not begun. What has begun is not interrupted. */
    if (lb_stream_is_late(stream, lb_clock_ns()))
        stream->verdict = lb_limits_max_time;
    result = lb_session_end(stream);
    if (result != LB_UNSETTLED)
        hand_back(stream, result);
    pthread_mutex_lock(&committer->lock);
    committer->ending--;
    if (result != LB_UNSETTLED)
        return;
    if (committer->unsettled.count == 0)
        committer->unsettled_since_ns = lb_clock_ns();
    lb_stream_queue_put(&committer->unsettled, stream);
}

static void settle_group(struct lb_committer *committer)
{
    struct lb_stream *group[LB_GROUP_MAX];
    size_t count = 0;
    int result;

    while (committer->unsettled.count > 0 && count < LB_GROUP_MAX)
        group[count++] = lb_stream_queue_take(&committer->unsettled);
    committer->unsettled_since_ns = lb_clock_ns();
    committer->settling = true;
    pthread_mutex_unlock(&committer->lock);
    result = lb_session_settle(group, count);
    for (size_t i = 0; i < count; i++)
        hand_back(group[i], result);
    pthread_mutex_lock(&committer->lock);
    committer->settling = false;
}

static bool may_settle(const struct lb_committer *committer)
{
    if (committer->unsettled.count == 0 || committer->settling)
        return false;
    return (committer->submitted.count == 0 && committer->ending == 0) ||
           committer->unsettled.count >= LB_GROUP_MAX ||
           lb_clock_ns() - committer->unsettled_since_ns >= GROUP_NS;
}

/* Nothing is left that this thread could do. */
static bool is_over(const struct lb_committer *committer)
{
    return committer->stopping && committer->submitted.count == 0 &&
           (committer->unsettled.count == 0 || committer->settling);
}

static void await_work(struct lb_committer *committer)
{
    uint64_t until_ns = committer->unsettled_since_ns + GROUP_NS;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / LB_NS_PER_S),
                                   .tv_nsec = (long)(until_ns % LB_NS_PER_S)};

    if (committer->unsettled.count > 0 && !committer->settling)
        pthread_cond_timedwait(&committer->wake, &committer->lock, &until);
    else
        pthread_cond_wait(&committer->wake, &committer->lock);
}

static void *run(void *argument)
{
    struct lb_committer *committer = argument;
    uint64_t cpu_ns = 0;

    here = committer;
    prctl(PR_SET_NAME, "lb-committer");
    pthread_mutex_lock(&committer->lock);
    while (!is_over(committer)) {
        uint64_t cpu_before_ns = cpu_ns;

        if (may_settle(committer)) {
            settle_group(committer);
        } else if (committer->submitted.count > 0) {
            end_one(committer);
        } else {
            await_work(committer);
            continue;
        }
        cpu_ns = lb_clock_read(CLOCK_THREAD_CPUTIME_ID);
        atomic_fetch_add(&committer->cpu_ns, cpu_ns - cpu_before_ns);
    }
    pthread_mutex_unlock(&committer->lock);
    return NULL;
}

static void init_locks(struct lb_committer *committer)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&committer->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int lb_committer_start(struct lb_committer *committer, const struct lb_sink *sink)
{
    unsigned threads = sink->settle ? LB_COMMITTER_THREADS : 1;
    int rc = 0;

    /* cpu_ns may be read at any time, and goes on. */
    committer->stopping = false;
    committer->thread_count = 0;
    committer->running = true;
    init_locks(committer);
    while (rc == 0 && committer->thread_count < threads) {
        rc = pthread_create(&committer->threads[committer->thread_count], NULL, run, committer);
        committer->thread_count += rc == 0;
    }
    if (rc != 0)
        lb_committer_stop(committer);
    return -rc;
}

bool lb_committer_is_here(const struct lb_committer *committer)
{
    return here == committer;
}

void lb_committer_stop(struct lb_committer *committer)
{
    if (!committer->running)
        return;
    pthread_mutex_lock(&committer->lock);
    committer->stopping = true;
    pthread_cond_broadcast(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
    for (unsigned i = 0; i < committer->thread_count; i++)
        pthread_join(committer->threads[i], NULL);
    pthread_cond_destroy(&committer->wake);
    pthread_mutex_destroy(&committer->lock);
    committer->running = false;
}

void lb_committer_submit(struct lb_committer *committer, struct lb_stream *stream)
{
    pthread_mutex_lock(&committer->lock);
    lb_stream_queue_put(&committer->submitted, stream);
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
}
