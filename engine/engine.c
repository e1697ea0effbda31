/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "choice.h"
#include "clock.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* The pool for sinks that may pause many streams at a time: each of those keeps a slot. */
static const struct lb_pool_shape pausing_shape = {.slot_size = 16 << 10, .slots = 64};

/* Defaults, for what is left as zero too. */
enum { DEFAULT_STREAMS = 10000, DEFAULT_KEEPALIVE_MS = 120000, DEFAULT_GATHER_US = 1000 };

enum {
    PEERS_MAX = 2 * LB_STREAMS_MAX,
    SLOT_SIZE_THROTTLED = 4096,
    SLOTS_THROTTLED = 64,
    NOTE_SIZE = 600
};

static const char *const default_listen[] = {":1090", NULL};

const char *lb_version(void)
{
    return LB_VERSION;
}

void lb_config_init(struct lb_config *config)
{
    *config = (struct lb_config){
        .listen = default_listen,
        .backend = "auto",
        .max_streams = DEFAULT_STREAMS,
        .drain_ms = 10000,
        .keepalive_ms = DEFAULT_KEEPALIVE_MS,
        .gather_max_us = DEFAULT_GATHER_US,
        .note_level = LB_NOTE_WARNING,
    };
}

/* ---- notes ----------------------------------------------------------------------------------- */

void lb_engine_note(struct lb_engine *engine, enum lb_note_level level, const char *format, ...)
{
    char text[NOTE_SIZE];
    va_list arguments;

    if (!lb_engine_notes(engine, level))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&engine->note_lock);
    engine->config.note(engine->config.note_context, level, text);
    pthread_mutex_unlock(&engine->note_lock);
}

static void note_refused(void *context, const char *text)
{
    lb_engine_note(context, LB_NOTE_DETAIL, "%s", text);
}

/* ---- open ------------------------------------------------------------------------------------ */

static unsigned usable_cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static unsigned default_workers(const struct lb_backend *backend)
{
    unsigned cores = usable_cores();

    if (backend->workers)
        return backend->workers;
    return cores < 4 ? cores : 4;
}

static int check_config(const struct lb_config *config, struct lb_error *error)
{
    if (!config->sink || !config->sink->write)
        return lb_error_set(error, -EINVAL, "no sink");
    if (!config->listen || !config->listen[0])
        return lb_error_set(error, -EINVAL, "no address to listen on");
    if (config->workers > LB_WORKERS_MAX)
        return lb_error_set(error, -EINVAL, "%u workers: at most %d", config->workers,
                            LB_WORKERS_MAX);
    if (config->max_streams > LB_STREAMS_MAX)
        return lb_error_set(error, -EINVAL, "%u streams at once: at most %d", config->max_streams,
                            LB_STREAMS_MAX);
    if (config->slot_size > LB_SLOT_SIZE_MAX)
        return lb_error_set(error, -EINVAL, "a slot of %zu bytes: at most 1G", config->slot_size);
    if (config->slots > LB_SLOTS_MAX)
        return lb_error_set(error, -EINVAL, "%u slots: at most %d", config->slots, LB_SLOTS_MAX);
    if (config->gather_max_us > LB_GATHER_US_MAX && config->gather_max_us != LB_NO_GATHER)
        return lb_error_set(error, -EINVAL, "gathering for %u us: at most %d",
                            config->gather_max_us, LB_GATHER_US_MAX);
    if (config->keepalive_ms > LB_KEEPALIVE_MS_MAX && config->keepalive_ms != LB_NO_KEEPALIVE)
        return lb_error_set(error, -EINVAL, "keepalive of %u ms: at most %d", config->keepalive_ms,
                            LB_KEEPALIVE_MS_MAX);
    if (config->rate_limit && config->min_rate > config->rate_limit)
        return lb_error_set(error, -EINVAL,
                            "a least rate of %" PRIu64 " above the rate limit of %" PRIu64
                            ": no stream could keep both",
                            config->min_rate, config->rate_limit);
    if (config->unix_mode > 0777)
        return lb_error_set(error, -EINVAL, "mode %o of a Unix socket: at most 777",
                            config->unix_mode);
    if (config->greeting_size > LB_GREETING_MAX)
        return lb_error_set(error, -EINVAL, "a greeting of %zu bytes: at most %d",
                            config->greeting_size, LB_GREETING_MAX);
    return 0;
}

/* A slot is the least that a stream gets at once: small against what its rate allows in a second. */
static struct lb_pool_shape throttled_shape(struct lb_pool_shape shape,
                                            const struct lb_config *config)
{
    uint64_t rate = config->rate_limit ? config->rate_limit : config->total_rate_limit;

    if (config->total_rate_limit && config->total_rate_limit < rate)
        rate = config->total_rate_limit;
    while (shape.slot_size > SLOT_SIZE_THROTTLED && shape.slot_size > rate / 32) {
        shape.slot_size /= 2;
        if (shape.slots < SLOTS_THROTTLED)
            shape.slots *= 2;
    }
    return shape;
}

static void settle_pool(struct lb_engine *engine)
{
    struct lb_config *config = &engine->config;
    bool may_pause = engine->sink->flags & LB_SINK_MAY_PAUSE;
    bool many = !(engine->sink->flags & LB_SINK_SERIAL) && !engine->backend->one_stream_per_worker;
    struct lb_pool_shape shape =
        may_pause && many ? pausing_shape : engine->backend->shape(may_pause);

    if (lb_throttle_limits_any(&engine->throttle))
        shape = throttled_shape(shape, config);
    if (!config->slot_size)
        config->slot_size = shape.slot_size;
    if (!config->slots)
        config->slots = shape.slots;
}

/* Replaces every "default" by what it means here. */
static void settle_config(struct lb_engine *engine)
{
    struct lb_config *config = &engine->config;
    bool serial = engine->sink->flags & LB_SINK_SERIAL;

    if (!config->max_streams)
        config->max_streams = DEFAULT_STREAMS;
    if (!config->keepalive_ms)
        config->keepalive_ms = DEFAULT_KEEPALIVE_MS;
    if (!config->gather_max_us)
        config->gather_max_us = DEFAULT_GATHER_US;
    if (!config->workers)
        config->workers = default_workers(engine->backend);
    /* A worker that could never get a stream would only hold peers in its backlog. */
    if (config->count && config->count < config->workers)
        config->workers = (unsigned)config->count;
    if (serial) {
        config->workers = 1;
        config->max_streams = 1;
    }
    if (config->workers > config->max_streams)
        config->workers = config->max_streams;
    lb_throttle_limits_init(&engine->throttle, config->rate_limit, config->total_rate_limit);
    settle_pool(engine);
    engine->drain_ns = config->drain_ms == LB_NO_DRAIN ? 0 : config->drain_ms * LB_NS_PER_MS;
    engine->gather_max_ns =
        config->gather_max_us == LB_NO_GATHER ? 0 : config->gather_max_us * UINT64_C(1000);
    engine->gate.max_streams = config->max_streams;
    engine->gate.count = config->count;
    lb_limits_init(&engine->limits, config);
}

static int open_admission(struct lb_engine *engine, struct lb_error *error)
{
    uint64_t peers = (uint64_t)lb_worker_streams(engine) * engine->config.workers;

    return lb_admission_init(&engine->admission, &engine->config,
                             peers < PEERS_MAX ? (unsigned)peers : PEERS_MAX, error);
}

static int open_listeners(struct lb_engine *engine, struct lb_error *error)
{
    const struct lb_listener_options options = {
        .sockets = engine->backend->shared_listeners ? 1 : engine->config.workers,
        .backlog = engine->config.backlog,
        .rcvbuf = engine->config.rcvbuf,
        .unix_mode = engine->config.unix_mode,
        .keepalive_ms =
            engine->config.keepalive_ms == LB_NO_KEEPALIVE ? 0 : engine->config.keepalive_ms,
    };

    return lb_listener_open(&engine->listeners, engine->config.listen, &options, error);
}

static int open_worker(struct lb_engine *engine, unsigned index, struct lb_error *error)
{
    const struct lb_listener_list *list = &engine->listeners;
    int *fds = calloc(list->count + 1, sizeof(*fds));

    if (!fds)
        return lb_error_set(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < list->count; i++)
        fds[i] = lb_listener_fd(&list->items[i], index);
    return lb_worker_init(&engine->workers[index], engine, fds, list->count, error);
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
        engine->worker_count++;
    }
    return 0;
}

static void init_locks(struct lb_engine *engine)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&engine->note_lock, NULL);
    pthread_mutex_init(&engine->running_lock, NULL);
}

static int choose_digest(struct lb_engine *engine, struct lb_error *error)
{
    const char *name = engine->config.receipt;
    int rc = name ? lb_digest_choose(&engine->digest, name) : 0;

    if (rc == -ENOTSUP)
        return lb_error_set(error, rc,
                            "receipts with %s: this libcrypto does not offer it; use "
                            "xxh3",
                            name);
    if (rc < 0)
        return lb_error_set(error, rc, "receipts with %s: unknown algorithm; use xxh3 or sha256",
                            name);
    return 0;
}

int lb_engine_open(struct lb_engine **result, const struct lb_config *config,
                   struct lb_error *error)
{
    struct lb_engine *engine;
    int rc = check_config(config, error);

    if (rc < 0)
        return rc;
    engine = calloc(1, sizeof(*engine));
    if (!engine)
        return lb_error_set(error, -ENOMEM, "out of memory");
    engine->config = *config;
    engine->sink = config->sink;
    init_locks(engine);
    rc = choose_digest(engine, error);
    if (rc == 0)
        rc = lb_choice_make(&engine->backend, config->backend, note_refused, engine, error);
    if (rc == 0) {
        settle_config(engine);
        rc = open_admission(engine, error);
    }
    if (rc == 0)
        rc = open_listeners(engine, error);
    if (rc == 0)
        rc = open_workers(engine, error);
    if (rc < 0) {
        lb_engine_close(engine);
        return rc;
    }
    lb_engine_note(engine, LB_NOTE_DETAIL,
                   "backend %s; workers: %u, with %u slots of %zu bytes each",
                   engine->backend->name, engine->worker_count, engine->config.slots,
                   engine->config.slot_size);
    *result = engine;
    return 0;
}

/* ---- run ------------------------------------------------------------------------------------- */

static void *run_worker(void *argument)
{
    struct lb_worker *worker = argument;
    struct lb_engine *engine = worker->engine;

    /* A bound on gathering of 1 ms means that: the usual slack is 50 µs more. */
    prctl(PR_SET_TIMERSLACK, 1);
    lb_worker_run(worker);
    atomic_store(&worker->cpu_ns, lb_clock_read(CLOCK_THREAD_CPUTIME_ID));
    pthread_mutex_lock(&engine->running_lock);
    if (--engine->running == 0)
        pthread_cond_signal(&engine->ended);
    pthread_mutex_unlock(&engine->running_lock);
    return NULL;
}

static int start_threads(struct lb_engine *engine)
{
    int rc = 0;

    if (engine->sink->flags & LB_SINK_SLOW_END)
        rc = lb_committer_start(&engine->committer, engine->sink);
    engine->at_door = engine->worker_count;
    for (unsigned i = 0; rc == 0 && i < engine->worker_count; i++) {
        pthread_mutex_lock(&engine->running_lock);
        rc = -pthread_create(&engine->workers[i].thread, NULL, run_worker, &engine->workers[i]);
        engine->running += rc == 0;
        engine->threads += rc == 0;
        pthread_mutex_unlock(&engine->running_lock);
    }
    return rc;
}

int lb_engine_start(struct lb_engine *engine)
{
    sigset_t all, before;
    int rc;

    assert(!engine->started);
    engine->started = true;
    /* Signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = start_threads(engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void join(struct lb_engine *engine)
{
    if (engine->joined)
        return;
    engine->joined = true;
    for (unsigned i = 0; i < engine->threads; i++)
        pthread_join(engine->workers[i].thread, NULL);
    lb_committer_stop(&engine->committer);
}

int lb_engine_wait(struct lb_engine *engine, int timeout_ms)
{
    struct timespec until;
    int rc = 0;

    assert(engine->started);
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

static void wake_all(const struct lb_engine *engine)
{
    for (unsigned i = 0; i < engine->worker_count; i++)
        lb_worker_wake(&engine->workers[i]);
}

void lb_engine_stop_now(struct lb_engine *engine)
{
    atomic_store(&engine->stop, LB_STOP_NOW);
    wake_all(engine);
}

void lb_engine_stop(struct lb_engine *engine)
{
    int level = LB_RUNNING;

    if (atomic_compare_exchange_strong(&engine->stop, &level, LB_STOP_DRAIN))
        wake_all(engine);
    else
        lb_engine_stop_now(engine);
}

bool lb_engine_left_door(struct lb_engine *engine)
{
    if (atomic_fetch_sub(&engine->at_door, 1) != 1)
        return false;
    lb_listener_shut(&engine->listeners);
    return true;
}

void lb_engine_stream_ended(struct lb_engine *engine)
{
    if (lb_gate_finished(&engine->gate)) {
        wake_all(engine);
        return;
    }
    for (unsigned i = 0; i < engine->worker_count; i++) {
        struct lb_worker *worker = &engine->workers[i];

        if (atomic_load(&worker->hungry) && atomic_exchange(&worker->hungry, false))
            lb_worker_wake(worker);
    }
}

/* ---- look ------------------------------------------------------------------------------------ */

const char *lb_engine_address(const struct lb_engine *engine, size_t index)
{
    return index < engine->listeners.count ? engine->listeners.items[index].name : NULL;
}

const char *lb_engine_backend(const struct lb_engine *engine)
{
    return engine->backend->name;
}

static uint64_t cpu_ns(const struct lb_engine *engine, const struct lb_worker *worker)
{
    uint64_t final = atomic_load(&worker->cpu_ns);
    clockid_t clock;

    if (final || engine->joined)
        return final;
    return pthread_getcpuclockid(worker->thread, &clock) == 0 ? lb_clock_read(clock) : 0;
}

void lb_engine_stats(const struct lb_engine *engine, struct lb_stats *stats)
{
    uint64_t cpu = atomic_load(&engine->committer.cpu_ns);

    *stats = (struct lb_stats){
        .backend = engine->backend->name,
        .workers = engine->worker_count,
        .active = atomic_load(&engine->gate.active),
    };
    for (unsigned i = 0; i < engine->worker_count; i++)
        lb_counters_add(stats, &engine->workers[i].counters);
    for (unsigned i = 0; i < engine->threads; i++)
        cpu += cpu_ns(engine, &engine->workers[i]);
    stats->cpu_seconds = (double)cpu / (double)LB_NS_PER_S;
}

void lb_engine_close(struct lb_engine *engine)
{
    if (!engine)
        return;
    if (engine->started && !engine->joined) {
        lb_engine_stop_now(engine);
        join(engine);
    }
    for (unsigned i = 0; i < engine->worker_count; i++)
        lb_worker_done(&engine->workers[i]);
    free(engine->workers);
    lb_listener_close(&engine->listeners);
    lb_digest_release(&engine->digest);
    lb_admission_done(&engine->admission);
    pthread_mutex_destroy(&engine->note_lock);
    pthread_mutex_destroy(&engine->running_lock);
    pthread_cond_destroy(&engine->ended);
    free(engine);
}
