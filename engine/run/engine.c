/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "backend_choice.h"
#include "clock.h"
#include "cores.h"
#include "descriptors.h"
#include "ending.h"
#include "filter.h"
#include "forked.h"
#include "settle.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PEERS_MAX = 2 * LB_STREAMS_MAX };

/* ---- open ------------------------------------------------------------------------------------ */

static void note_refused(void *context, const char *text)
{
    lb_note(context, LB_NOTE_DETAIL, "%s", text);
}

static int open_door(struct lb_engine *engine, struct lb_error *error)
{
    const struct lb_config *config = &engine->config;
    const struct lb_listener_options options = {
        .sockets = engine->rules.backend->shared_listeners ? 1 : config->workers,
        .backlog = config->backlog,
        .rcvbuf = config->rcvbuf,
        .unix_mode = config->unix_mode,
        .keepalive_ms = config->keepalive_ms == LB_NO_KEEPALIVE ? 0 : config->keepalive_ms,
    };
    struct lb_door *door = &engine->door;
    uint64_t peers = (uint64_t)lb_worker_streams(&engine->rules) * config->workers;
    int rc = lb_door_init(door, config->workers);

    if (rc < 0)
        return lb_error_set(error, rc, "out of memory");
    door->gate.max_streams = config->max_streams;
    door->gate.count = config->count;
    door->gate.max_entering = config->max_handshakes;
    rc = lb_admission_init(&door->admission, config,
                           peers < PEERS_MAX ? (unsigned)peers : PEERS_MAX, error);
    return rc < 0 ? rc : lb_listener_open(&door->listeners, config->listen, &options, error);
}

static int open_worker(struct lb_engine *engine, unsigned index, struct lb_error *error)
{
    const struct lb_worker_shares shares = {&engine->rules, &engine->door, &engine->notes};
    const struct lb_listener_list *list = &engine->door.listeners;
    int *fds = calloc(list->count + 1, sizeof(*fds));

    if (!fds)
        return lb_error_set(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < list->count; i++)
        fds[i] = lb_listener_fd(&list->items[i], index);
    return lb_worker_init(&engine->workers[index], &shares, fds, list->count, error);
}

static int open_workers(struct lb_engine *engine, struct lb_error *error)
{
    engine->workers = calloc(engine->config.workers, sizeof(*engine->workers));
    if (!engine->workers)
        return lb_error_set(error, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < engine->config.workers; i++) {
        int rc = open_worker(engine, i, error);

        if (rc < 0)
            return rc;
        engine->workers[i].lane.engine = engine;
        engine->worker_count++;
    }
    return 0;
}

static int open_end(struct lb_engine *engine, struct lb_error *error)
{
    engine->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return engine->end_fd < 0 ? lb_error_set(error, -errno, "no eventfd: %s", strerror(errno)) : 0;
}

static void init_locks(struct lb_engine *engine)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&engine->running_lock, NULL);
}

static void begin_notes(struct lb_engine *engine)
{
    lb_notes_init(&engine->notes);
    engine->notes.tell = engine->config.note;
    engine->notes.context = engine->config.note_context;
    engine->notes.level = engine->config.note_level;
}

/* Peers beyond wait in the backlog: no stream that was let in fails for want of a descriptor. */
static void fit_descriptors(struct lb_engine *engine)
{
    struct lb_gate *gate = &engine->door.gate;
    const struct lb_backend *backend = engine->rules.backend;
    unsigned ahead = engine->worker_count *
                     (1 + backend->accepts_ahead * (unsigned)engine->door.listeners.count);
    unsigned most = lb_descriptors_streams(engine->rules.sink, ahead);

    if (most >= gate->max_streams)
        return;
    gate->max_streams = most;
    lb_note(&engine->notes, LB_NOTE_DETAIL,
            "at most %u streams at once: there are no descriptors for more (ulimit -n)", most);
}

int lb_engine_open(struct lb_engine **result, const struct lb_config *config,
                   struct lb_error *error)
{
    const struct lb_backend *backend;
    struct lb_engine *engine;
    int rc;

    if (!result)
        return lb_error_set(error, -EINVAL, "no place for the engine");
    engine = calloc(1, sizeof(*engine));
    if (!engine)
        return lb_error_set(error, -ENOMEM, "out of memory");
    engine->end_fd = -1;
    engine->owner = getpid();
    lb_forked_watch();
    rc = lb_settle_take(&engine->config, &engine->sink, config, error);
    if (rc < 0) {
        free(engine);
        return rc;
    }
    init_locks(engine);
    begin_notes(engine);
    rc = lb_choice_make(&backend, engine->config.backend, note_refused, &engine->notes, error);
    if (rc == 0)
        rc = lb_settle(&engine->rules, &engine->config, backend, &engine->throttle, error);
    if (rc == 0)
        rc = open_door(engine, error);
    if (rc == 0)
        rc = open_end(engine, error);
    if (rc == 0)
        rc = open_workers(engine, error);
    if (rc < 0) {
        lb_engine_close(engine);
        return rc;
    }
    fit_descriptors(engine);
    lb_note(&engine->notes, LB_NOTE_DETAIL,
            "backend %s; workers: %u, with %u slots of %zu bytes each", backend->name,
            engine->worker_count, engine->rules.pool.slots, engine->rules.pool.slot_size);
    *result = engine;
    return 0;
}

/* ---- run ------------------------------------------------------------------------------------- */

/* The engine whose worker this thread is. */
static _Thread_local const struct lb_engine *here;

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

/* Read by nobody: it stays readable. */
static void tell_end(const struct lb_engine *engine)
{
    const uint64_t one = 1;

    (void)!write(engine->end_fd, &one, sizeof(one));
}

static void *run_worker(void *argument)
{
    struct lb_worker *worker = argument;
    struct lb_engine *engine = engine_of(worker);
    clockid_t clock = 0;

    /* A bound on gathering of 1 ms means that: the usual slack is 50 µs more. */
    prctl(PR_SET_TIMERSLACK, 1);
    here = engine;
    pthread_getcpuclockid(pthread_self(), &clock);
    atomic_store(&worker->clock, clock);
    pin(engine, worker);
    tell_begun(engine, lb_worker_begin(worker));
    lb_worker_run(worker);
    atomic_store(&worker->cpu_ns, lb_clock_read(CLOCK_THREAD_CPUTIME_ID));
    pthread_mutex_lock(&engine->running_lock);
    if (--engine->running == 0) {
        pthread_cond_broadcast(&engine->ended);
        tell_end(engine);
    }
    pthread_mutex_unlock(&engine->running_lock);
    return NULL;
}

static int start_committer(struct lb_engine *engine)
{
    int rc = lb_committer_start(&engine->committer, engine->rules.sink);

    for (unsigned i = 0; rc == 0 && i < engine->worker_count; i++)
        engine->workers[i].lane.committer = &engine->committer;
    return rc;
}

static int start_threads(struct lb_engine *engine)
{
    int rc = 0;

    if (engine->rules.sink->flags & LB_SINK_SLOW_END)
        rc = start_committer(engine);
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

int lb_engine_start(struct lb_engine *engine)
{
    sigset_t all, before;
    int rc;

    if (!engine)
        return -EINVAL;
    /* Its descriptors, a ring above all, are the other process's too. */
    if (engine->owner != getpid())
        return -ECHILD;
    if (atomic_exchange(&engine->started, true))
        return -EALREADY;
    /* Signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = start_threads(engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc < 0)
        lb_door_stop_now(&engine->door);
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

static void join(struct lb_engine *engine)
{
    if (atomic_exchange(&engine->joined, true))
        return;
    for (unsigned i = 0; i < engine->threads; i++)
        pthread_join(engine->workers[i].thread, NULL);
    lb_committer_stop(&engine->committer);
    lb_ending_note_rest(&engine->door, &engine->notes);
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
        join(engine);
    return rc;
}

void lb_engine_stop(struct lb_engine *engine)
{
    if (engine)
        lb_door_stop(&engine->door);
}

/* ---- look ------------------------------------------------------------------------------------ */

int lb_engine_end_fd(const struct lb_engine *engine)
{
    return engine ? engine->end_fd : -EINVAL;
}

int lb_engine_listener(struct lb_engine *engine, size_t index)
{
    return engine ? lb_listener_lend(&engine->door.listeners, index) : -EINVAL;
}

const char *lb_engine_address(const struct lb_engine *engine, size_t index)
{
    const struct lb_listener_list *list = engine ? &engine->door.listeners : NULL;

    return list && index < list->count ? list->items[index].name : NULL;
}

const char *lb_engine_backend(const struct lb_engine *engine)
{
    return engine ? engine->rules.backend->name : NULL;
}

/* ---- close ----------------------------------------------------------------------------------- */

int lb_engine_close(struct lb_engine *engine)
{
    if (!engine)
        return 0;
    if (lb_engine_is_inside(engine)) {
        lb_door_stop_now(&engine->door);
        return lb_engine_refuse_inside(engine, "lb_engine_close",
                                       "it stops instead; close it elsewhere");
    }
    if (engine->owner != getpid()) {
        lb_listener_close(&engine->door.listeners);
        return 0;
    }
    if (engine->started && !engine->joined) {
        lb_door_stop_now(&engine->door);
        join(engine);
    }
    for (unsigned i = 0; i < engine->worker_count; i++)
        lb_worker_done(&engine->workers[i]);
    free(engine->workers);
    lb_door_done(&engine->door);
    if (engine->end_fd >= 0)
        close(engine->end_fd);
    lb_filters_release(&engine->rules);
    lb_digest_release(&engine->rules.receipt);
    lb_notes_done(&engine->notes);
    pthread_mutex_destroy(&engine->running_lock);
    pthread_cond_destroy(&engine->ended);
    free(engine);
    return 0;
}
