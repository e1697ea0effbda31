/* SPDX-License-Identifier: MIT */
#include "threads.h"

#include "clock.h"
#include "cores.h"
#include "ending.h"
#include "inside.h"
#include "news.h"
#include "own_loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct lb_engine *engine_of(struct lb_worker *worker)
{
    /* The door is a member of the engine. */
    return (struct lb_engine *)(void *)((char *)worker->lane.door -
                                        offsetof(struct lb_engine, door));
}

/* Each on one core of the list, if there is one. It was checked; a core may have gone since. */
static void pin(const struct lb_engine *engine, const struct lb_worker *worker)
{
    cpu_set_t all, one;

    if (!engine->config.cpus || lb_cores_parse(&all, engine->config.cpus, NULL) < 0)
        return;
    CPU_ZERO(&one);
    CPU_SET(lb_cores_pick(&all, worker->lane.index), &one);
    sched_setaffinity(0, sizeof(one), &one); /* this thread; a seccomp filter can see that */
}

static void tell_begun(struct lb_engine *engine, int rc)
{
    pthread_mutex_lock(&engine->running_lock);
    if (rc < 0 && engine->begin_error == 0)
        engine->begin_error = rc;
    if (--engine->beginning == 0)
        pthread_cond_broadcast(&engine->ended);
    pthread_mutex_unlock(&engine->running_lock);
}

/* What a sink can't open for a worker is told by the start. */
static int await_begun(struct lb_engine *engine)
{
    int rc;

    if (!engine->rules.sink->worker_open)
        return 0;
    pthread_mutex_lock(&engine->running_lock);
    while (engine->beginning > 0)
        pthread_cond_wait(&engine->ended, &engine->running_lock);
    rc = engine->begin_error;
    pthread_mutex_unlock(&engine->running_lock);
    return rc;
}

/* As ps and debuggers show it. */
static void name_thread(unsigned index)
{
    char name[16];

    snprintf(name, sizeof(name), "lb-worker/%u", index);
    prctl(PR_SET_NAME, name);
}

static void *run_worker(void *argument)
{
    struct lb_worker *worker = argument;
    struct lb_engine *engine = engine_of(worker);
    clockid_t clock = 0;

    /* A bound on gathering of 1 ms means that: the usual slack is 50 µs more. */
    prctl(PR_SET_TIMERSLACK, 1);
    lb_inside_enter(engine);
    name_thread(worker->lane.index);
    pthread_getcpuclockid(pthread_self(), &clock);
    atomic_store(&worker->clock, clock);
    pin(engine, worker);
    tell_begun(engine, lb_worker_begin(worker));
    lb_worker_run(worker);
    atomic_store(&worker->cpu_ns, lb_clock_read(CLOCK_THREAD_CPUTIME_ID));
    lb_inside_left(engine);
    return NULL;
}

static int start_threads(struct lb_engine *engine)
{
    int rc = lb_inside_start_committer(engine);

    for (unsigned i = 0; rc == 0 && i < engine->worker_count; i++) {
        pthread_mutex_lock(&engine->running_lock);
        rc = -pthread_create(&engine->workers[i].thread, NULL, run_worker, &engine->workers[i]);
        engine->running += rc == 0;
        engine->beginning += rc == 0;
        engine->threads += rc == 0;
        pthread_mutex_unlock(&engine->running_lock);
    }
    return rc < 0 ? rc : await_begun(engine);
}

/* Signals are for the program's own threads, but for those that a thread's own doing raises:
 * whoever handles them, as sanitizers do, wants to know who it was. */
static void choose_mask(sigset_t *mask)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};

    sigfillset(mask);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(mask, own[i]);
}

static void tell_start(struct lb_engine *engine)
{
    const struct lb_listener_list *list = &engine->door.listeners;

    if (engine->config.tls)
        lb_news_of_certificate(&engine->notes);
    for (size_t i = 0; i < list->count; i++)
        lb_news_of_listener(&engine->notes, list->items[i].name);
}

int lb_engine_start(struct lb_engine *engine)
{
    sigset_t masked, before;
    int rc;

    if (!engine)
        return -EINVAL;
    /* Its descriptors, a ring above all, are the other process's too. */
    if (engine->owner != getpid())
        return -ECHILD;
    if (atomic_exchange(&engine->started, true))
        return -EALREADY;
    tell_start(engine);
    if (engine->rules.own_loop)
        return lb_own_loop_start(engine);
    choose_mask(&masked);
    pthread_sigmask(SIG_SETMASK, &masked, &before);
    rc = start_threads(engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc < 0)
        lb_door_stop_now(&engine->door);
    return rc;
}

void lb_threads_join(struct lb_engine *engine)
{
    if (atomic_exchange(&engine->joined, true))
        return;
    for (unsigned i = 0; i < engine->threads; i++)
        pthread_join(engine->workers[i].thread, NULL);
    lb_committer_stop(&engine->committer);
    lb_ending_note_rest(&engine->door, &engine->notes);
}

static int wait_in_own_loop(struct lb_engine *engine, int timeout_ms)
{
    int rc = lb_own_loop_run(engine, timeout_ms);

    if (rc == 0)
        lb_threads_join(engine);
    return rc;
}

int lb_engine_wait(struct lb_engine *engine, int timeout_ms)
{
    struct timespec until;
    int rc = 0;

    if (!engine || !engine->started)
        return -EINVAL;
    if (engine->owner != getpid())
        return -ECHILD;
    if (lb_engine_is_inside(engine))
        return lb_engine_refuse_inside(engine, "lb_engine_wait", "wait elsewhere");
    if (lb_own_loop_is_mine(engine))
        return wait_in_own_loop(engine, timeout_ms);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * (long)LB_NS_PER_MS;
    if (until.tv_nsec >= (long)LB_NS_PER_S) {
        until.tv_nsec -= (long)LB_NS_PER_S;
        until.tv_sec++;
    }
    pthread_mutex_lock(&engine->running_lock);
    while (engine->running > 0 && rc == 0)
        rc = timeout_ms < 0 ? pthread_cond_wait(&engine->ended, &engine->running_lock)
                            : pthread_cond_timedwait(&engine->ended, &engine->running_lock, &until);
    rc = engine->running > 0 ? -ETIMEDOUT : 0;
    pthread_mutex_unlock(&engine->running_lock);
    if (rc == 0)
        lb_threads_join(engine);
    return rc;
}
