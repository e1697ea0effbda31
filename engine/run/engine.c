/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "backend_choice.h"
#include "clock.h"
#include "descriptors.h"
#include "filter.h"
#include "forked.h"
#include "inside.h"
#include "own_loop.h"
#include "settle.h"
#include "threads.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
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
    engine->notes.event = engine->config.event;
    engine->notes.event_context = engine->config.event_context;
}

/* Peers beyond wait in the backlog: no stream that was let in fails for want of a descriptor. */
static int fit_descriptors(struct lb_engine *engine, struct lb_error *error)
{
    struct lb_gate *gate = &engine->door.gate;
    unsigned ahead =
        lb_descriptors_ahead(engine->rules.backend, (unsigned)engine->door.listeners.count);
    unsigned most = lb_descriptors_streams(engine->rules.sink, engine->worker_count * ahead);

    if (most == 0)
        return lb_error_set(error, -EMFILE,
                            "not even one stream can have the descriptors that it needs");
    if (most >= gate->max_streams) {
        atomic_store(&engine->door.spare, most - gate->max_streams);
        return 0;
    }
    gate->max_streams = most;
    lb_note(&engine->notes, LB_NOTE_DETAIL,
            "at most %u streams at once: there are no descriptors for more (ulimit -n)", most);
    return 0;
}

/* What isn't set aside at the start. */
static void tell_beside(struct lb_engine *engine)
{
    const struct lb_rules *rules = &engine->rules;
    const struct lb_gate *gate = &engine->door.gate;
    uint64_t streams = (uint64_t)gate->max_streams + gate->max_entering;

    for (unsigned i = 0; i < rules->filter_count; i++) {
        const struct lb_filter *filter = rules->filters[i].filter;

        if (filter->beside)
            lb_note(&engine->notes, LB_NOTE_DETAIL,
                    "%s: at most %zu KiB of memory for a stream, %" PRIu64
                    " MiB for --max-streams and --max-handshakes together",
                    filter->name, filter->beside >> 10, streams * filter->beside >> 20);
    }
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
    lb_own_loop_init(&engine->loop);
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
    if (rc == 0 && engine->rules.own_loop)
        rc = lb_own_loop_open(engine, error);
    if (rc == 0)
        rc = fit_descriptors(engine, error);
    if (rc < 0) {
        lb_engine_close(engine);
        return rc;
    }
    lb_note(&engine->notes, LB_NOTE_DETAIL,
            "backend %s; workers: %u, with %u slots of %zu bytes each", backend->name,
            engine->worker_count, engine->rules.pool.slots, engine->rules.pool.slot_size);
    tell_beside(engine);
    *result = engine;
    return 0;
}

/* ---- stop ------------------------------------------------------------------------------------ */

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
    if (!engine)
        return -EINVAL;
    /* This process would remember whom they are lent to, and the one that closes them would not. */
    if (engine->owner != getpid())
        return -ECHILD;
    return lb_listener_lend(&engine->door.listeners, index);
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
        if (engine->rules.own_loop)
            lb_engine_wait(engine, -1);
        else
            lb_threads_join(engine);
    }
    for (unsigned i = 0; i < engine->worker_count; i++)
        lb_worker_done(&engine->workers[i]);
    free(engine->workers);
    lb_own_loop_close(&engine->loop);
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
