/* SPDX-License-Identifier: MIT */
#include "sending.h"

#include "answer.h"
#include "attempt.h"
#include "command.h"
#include "console.h"
#include "temporary.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void raise_status(struct sending *sending, int status)
{
    int now = sending->status;

    while (now < status && !atomic_compare_exchange_weak(&sending->status, &now, status))
        ;
}

static void *send_streams(void *argument)
{
    struct sending *sending = argument;
    size_t index;

    while (!sending->unreachable && (index = sending->next++) < sending->streams) {
        tracks_begin(&sending->tracks, index);
        int status = attempt_stream(sending, index);

        tracks_end(&sending->tracks, index);
        raise_status(sending, status);
        if (status == STATUS_OK)
            sending->tracks.sent++;
    }
    pthread_mutex_lock(&sending->lock);
    sending->threads--;
    pthread_cond_signal(&sending->changed);
    pthread_mutex_unlock(&sending->lock);
    return NULL;
}

/* Waits for the threads' end, showing progress. */
static void wait_for_threads(struct sending *sending)
{
    unsigned interval_ms = sending->settings->progress_ms;
    struct timespec next;

    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&sending->lock);
    while (sending->threads > 0) {
        if (!interval_ms) {
            pthread_cond_wait(&sending->changed, &sending->lock);
            continue;
        }
        next.tv_sec += (time_t)(interval_ms / 1000);
        next.tv_nsec += (long)(interval_ms % 1000) * 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        while (sending->threads > 0 &&
               pthread_cond_timedwait(&sending->changed, &sending->lock, &next) != ETIMEDOUT)
            ;
        /* What is left of a stream that failed in the end is no progress. */
        if (sending->threads > 0 || sending->tracks.sent == sending->streams)
            tracks_draw(&sending->tracks);
    }
    pthread_mutex_unlock(&sending->lock);
    console_wipe();
}

/* Of this process; a few more may come and go, for names and messages. */
static size_t count_descriptors(void)
{
    enum { PASSING = 8 };
    DIR *directory = opendir("/proc/self/fd");
    size_t count = PASSING;

    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

/* Each stream has a connection, a file, and a temporary file for the answer. */
static int check_descriptors(const struct sending *sending)
{
    size_t need = count_descriptors() + sending->threads_max * 3;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || need <= limit.rlim_cur)
        return STATUS_OK;
    console_tell(
        "--parallel=%zu: may need %zu open descriptors, and the limit is %llu; use less, or "
        "raise that (ulimit -n)",
        sending->settings->parallel, need, (unsigned long long)limit.rlim_cur);
    return STATUS_NO_START;
}

int sending_prepare(struct sending *sending)
{
    size_t count = sending->settings->parallel;

    sending->threads_max = count < sending->streams ? count : sending->streams;
    sending->hold = sending->threads_max > 1;
    if (!sending->hold)
        return STATUS_OK;
    command_raise_limits();
    int status = check_descriptors(sending);
    if (status)
        return status;
    int error = answer_prepare_holding(sending->settings->spool_total);
    if (!error)
        return STATUS_OK;
    console_tell("--parallel=%zu: answers can't be held in %s: %s; set TMPDIR to a directory that "
                 "can be written",
                 sending->settings->parallel, lb_temporary_directory(), strerror(-error));
    return STATUS_NO_START;
}

int sending_run(struct sending *sending)
{
    size_t count = sending->threads_max;
    pthread_t threads[SENDING_PARALLEL_MAX];
    pthread_condattr_t monotonic;
    size_t made = 0;
    int error = 0;

    pthread_mutex_init(&sending->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sending->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sending->threads = count;
    while (made < count && !error) {
        error = pthread_create(&threads[made], NULL, send_streams, sending);
        made += !error;
    }
    if (error) { /* those that were made send the rest, too */
        console_tell("--parallel=%zu: can't make a thread: %s", count, strerror(error));
        raise_status(sending, STATUS_NO_START);
        pthread_mutex_lock(&sending->lock);
        sending->threads -= count - made;
        pthread_mutex_unlock(&sending->lock);
    }
    wait_for_threads(sending);
    for (size_t i = 0; i < made; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&sending->changed);
    pthread_mutex_destroy(&sending->lock);
    return sending->status;
}
