/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include "fail.h"
#include "took.h"
#include "transfer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum {
    TRANSFERS = 32, /* at a time, and so connections */
    FOR_PARTS = 24, /* of them: a store that stalls with parts leaves the rest to other streams */
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MOST_MS = 5000,
    IDLE_MS = 3600000, /* without anything to do; whoever has something wakes it */
};

#define NS_PER_MS 1000000ull

struct s3_loop {
    struct s3_store store;
    CURLM *multi;
    struct s3_transfer *idle[TRANSFERS]; /* made as they are needed */
    unsigned idle_count, active, active_parts;
    struct s3_request *waiting, **waiting_last; /* for their time, or a transfer */
    uint64_t dice;
    struct s3_took took;

    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* of what is below */
    struct s3_task *tasks, **tasks_last;
    bool closing;
};

uint64_t s3_loop_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

/* ---- requests that wait ---------------------------------------------------------------------- */

static void wait(struct s3_loop *loop, struct s3_request *request)
{
    request->state = S3_WAITING;
    request->next = NULL;
    *loop->waiting_last = request;
    loop->waiting_last = &request->next;
}

static void unlink_at(struct s3_loop *loop, struct s3_request **link)
{
    struct s3_request *request = *link;

    *link = request->next;
    if (!*link)
        loop->waiting_last = link;
    request->state = S3_IDLE;
}

static void finish(struct s3_request *request)
{
    char *answer;

    request->state = S3_IDLE;
    answer = request->answer;
    request->done(request);
    /* The request may have been freed, or asked again. */
    free(answer);
}

/* Between the half of it and all, so that many don't come back at the same moment. */
static uint64_t backoff_ns(struct s3_loop *loop, unsigned attempts)
{
    uint64_t ms = BACKOFF_FIRST_MS;

    while (--attempts > 0 && ms < BACKOFF_MOST_MS)
        ms *= 2;
    if (ms > BACKOFF_MOST_MS)
        ms = BACKOFF_MOST_MS;
    loop->dice = loop->dice * 6364136223846793005u + 1442695040888963407u;
    return (ms / 2 + (loop->dice >> 33) % (ms / 2 + 1)) * NS_PER_MS;
}

/* ---- attempts -------------------------------------------------------------------------------- */

static void count_out(struct s3_loop *loop, const struct s3_request *request)
{
    loop->active--;
    loop->active_parts -= request->is_part;
}

static void end_attempt(struct s3_loop *loop, struct s3_transfer *transfer, CURLcode result)
{
    struct s3_request *request = s3_transfer_request(transfer);
    uint64_t now = s3_loop_clock_ns(), again;
    bool retry = s3_transfer_end(transfer, result);

    s3_took_add(&loop->took, now - request->begun_ns);
    curl_multi_remove_handle(loop->multi, s3_transfer_handle(transfer));
    request->transfer = NULL;
    count_out(loop, request);
    loop->idle[loop->idle_count++] = transfer;
    again = now + backoff_ns(loop, request->outcome.attempts);
    if (retry && again < request->until_ns) {
        request->not_before_ns = again;
        wait(loop, request);
    } else {
        finish(request);
    }
}

/* Returns false if there is no memory. */
static bool begin_attempt(struct s3_loop *loop, struct s3_request *request, uint64_t now)
{
    struct s3_transfer *transfer =
        loop->idle_count > 0 ? loop->idle[--loop->idle_count] : s3_transfer_open(&loop->store);
    uint64_t left_ms = request->until_ns > now ? (request->until_ns - now) / NS_PER_MS : 0;
    CURL *handle;

    if (!transfer)
        return false;
    handle = s3_transfer_begin(transfer, request, left_ms > 0 ? (long)left_ms : 1);
    if (!handle || curl_multi_add_handle(loop->multi, handle) != CURLM_OK) {
        loop->idle[loop->idle_count++] = transfer;
        return false;
    }
    request->state = S3_UNDER_WAY;
    request->transfer = transfer;
    request->begun_ns = now;
    loop->active++;
    loop->active_parts += request->is_part;
    return true;
}

/* There was no memory for it. */
static void put_off(struct s3_loop *loop, struct s3_request *request, uint64_t now)
{
    request->not_before_ns = now + BACKOFF_FIRST_MS * NS_PER_MS;
    if (request->not_before_ns < request->until_ns) {
        wait(loop, request);
        return;
    }
    request->outcome.lost = "out of memory";
    finish(request);
}

/* Begins what may begin. Returns how long until something else may. */
static uint64_t begin_attempts(struct s3_loop *loop, uint64_t now)
{
    uint64_t least = IDLE_MS * NS_PER_MS;

    for (struct s3_request **link = &loop->waiting; *link;) {
        struct s3_request *request = *link;

        if (loop->active == TRANSFERS)
            break;
        if (request->not_before_ns > now) {
            if (request->not_before_ns - now < least)
                least = request->not_before_ns - now;
            link = &request->next;
            continue;
        }
        if (request->is_part && loop->active_parts == FOR_PARTS) {
            link = &request->next;
            continue;
        }
        unlink_at(loop, link);
        if (!begin_attempt(loop, request, now)) {
            put_off(loop, request, now);
            break;
        }
    }
    return least;
}

static void take_results(struct s3_loop *loop)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(loop->multi, &left))) {
        void *transfer = NULL;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        end_attempt(loop, transfer, message->data.result);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Returns false when it is to end. */
static bool take_tasks(struct s3_loop *loop)
{
    struct s3_task *tasks;
    bool closing;

    pthread_mutex_lock(&loop->lock);
    tasks = loop->tasks;
    loop->tasks = NULL;
    loop->tasks_last = &loop->tasks;
    closing = loop->closing;
    pthread_mutex_unlock(&loop->lock);
    while (tasks) {
        struct s3_task *task = tasks;

        tasks = task->next;
        task->run(task);
    }
    return !closing;
}

static void turn(struct s3_loop *loop)
{
    uint64_t wait_ns = begin_attempts(loop, s3_loop_clock_ns());
    int running;

    curl_multi_poll(loop->multi, NULL, 0, (int)(wait_ns / NS_PER_MS) + 1, NULL);
    curl_multi_perform(loop->multi, &running);
    take_results(loop);
}

static void *run_thread(void *argument)
{
    struct s3_loop *loop = argument;

    prctl(PR_SET_NAME, "lb-s3"); /* or it is called as the worker that has begun it */
    while (take_tasks(loop))
        turn(loop);
    return NULL;
}

void s3_loop_run(struct s3_loop *loop, const bool *done)
{
    while (!*done) {
        take_tasks(loop);
        if (!*done)
            turn(loop);
    }
}

void s3_loop_post(struct s3_loop *loop, struct s3_task *task)
{
    pthread_mutex_lock(&loop->lock);
    task->next = NULL;
    *loop->tasks_last = task;
    loop->tasks_last = &task->next;
    pthread_mutex_unlock(&loop->lock);
    curl_multi_wakeup(loop->multi);
}

void s3_loop_ask(struct s3_loop *loop, struct s3_request *request)
{
    assert(request->state == S3_IDLE);
    request->outcome = (struct s3_outcome){0};
    request->answer = NULL;
    request->answer_size = 0;
    request->not_before_ns = 0;
    wait(loop, request);
}

void s3_loop_ask_bare(struct s3_loop *loop, struct s3_request *request, const char *method,
                      const char *query)
{
    request->method = method;
    request->query = query;
    request->body = NULL;
    request->body_count = 0;
    request->body_size = 0;
    sigv4_hash("", 0, request->payload);
    s3_loop_ask(loop, request);
}

bool s3_loop_has(const struct s3_request *request)
{
    return request->state != S3_IDLE;
}

void s3_loop_cancel(struct s3_loop *loop, struct s3_request *request)
{
    struct s3_transfer *transfer = request->transfer;

    if (request->state == S3_IDLE)
        return;
    if (request->state == S3_WAITING) {
        struct s3_request **link = &loop->waiting;

        while (*link != request)
            link = &(*link)->next;
        unlink_at(loop, link);
    } else {
        /* Closes its connection, too. */
        curl_multi_remove_handle(loop->multi, s3_transfer_handle(transfer));
        s3_transfer_end(transfer, CURLE_ABORTED_BY_CALLBACK);
        request->transfer = NULL;
        request->state = S3_IDLE;
        count_out(loop, request);
        loop->idle[loop->idle_count++] = transfer;
    }
    free(request->answer);
    request->answer = NULL;
}

void s3_loop_timing(const struct s3_loop *loop, struct lb_timing *timing)
{
    s3_took_tell(&loop->took, timing);
}

/* ---- begin and end --------------------------------------------------------------------------- */

int s3_loop_open(struct s3_loop **loop, const struct s3_endpoint *endpoint,
                 const struct s3_credentials *credentials, struct lb_error *error)
{
    struct s3_loop *made = calloc(1, sizeof(*made));

    if (!made || curl_global_init(CURL_GLOBAL_DEFAULT)) {
        free(made);
        return s3_fail(error, -ENOMEM, "libcurl can't begin");
    }
    made->store = (struct s3_store){endpoint, credentials};
    made->waiting_last = &made->waiting;
    made->tasks_last = &made->tasks;
    made->dice = s3_loop_clock_ns();
    pthread_mutex_init(&made->lock, NULL);
    made->multi = curl_multi_init();
    if (!made->multi) {
        s3_loop_close(made);
        return s3_fail(error, -ENOMEM, "libcurl can't begin");
    }
    curl_multi_setopt(made->multi, CURLMOPT_MAXCONNECTS, (long)TRANSFERS);
    *loop = made;
    return 0;
}

int s3_loop_start(struct s3_loop *loop)
{
    sigset_t all, before;
    int rc;

    /* Signals are for the threads that wait for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = -pthread_create(&loop->thread, NULL, run_thread, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loop->has_thread = rc == 0;
    return rc;
}

void s3_loop_stop(struct s3_loop *loop)
{
    if (!loop || !loop->has_thread)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->closing = true;
    pthread_mutex_unlock(&loop->lock);
    curl_multi_wakeup(loop->multi);
    pthread_join(loop->thread, NULL);
    loop->has_thread = false;
    take_tasks(loop);
}

void s3_loop_close(struct s3_loop *loop)
{
    if (!loop)
        return;
    assert(loop->active == 0 && !loop->waiting);
    for (unsigned i = 0; i < loop->idle_count; i++)
        s3_transfer_close(loop->idle[i]);
    if (loop->multi)
        curl_multi_cleanup(loop->multi);
    pthread_mutex_destroy(&loop->lock);
    curl_global_cleanup();
    free(loop);
}
