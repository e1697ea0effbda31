/* SPDX-License-Identifier: MIT */
/* What any thread may ask of an engine's streams: a letter to the lanes. */
#include "inside.h"
#include "letters.h"
#include "own_loop.h"
#include "sized.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct lb_inbox *inbox_of(const struct lb_engine *engine, unsigned lane)
{
    return &engine->workers[lane].lane.inbox;
}

/* A child that was forked has none of the threads that would take a letter. */
static int check_engine(const struct lb_engine *engine)
{
    if (!engine)
        return -EINVAL;
    return engine->owner == getpid() ? 0 : -ECHILD;
}

/* ---- one stream ------------------------------------------------------------------------------ */

static int post_call(struct lb_inbox *inbox, enum lb_letter_kind kind, uint64_t id)
{
    struct lb_call *call = malloc(sizeof(*call));

    if (!call)
        return -ENOMEM;
    *call = (struct lb_call){.letter.kind = kind, .id = id};
    if (!lb_inbox_post(inbox, &call->letter))
        free(call); /* that lane has ended */
    return 0;
}

/* Each lane looks whether it is its stream: only lanes know that. */
static int call_stream(const struct lb_engine *engine, enum lb_letter_kind kind, uint64_t id)
{
    int rc = check_engine(engine);

    for (unsigned i = 0; rc == 0 && i < engine->worker_count; i++)
        rc = post_call(inbox_of(engine, i), kind, id);
    return rc;
}

int lb_engine_wake(struct lb_engine *engine, uint64_t id)
{
    return call_stream(engine, LB_LETTER_WAKE, id);
}

int lb_engine_end(struct lb_engine *engine, uint64_t id)
{
    return call_stream(engine, LB_LETTER_END, id);
}

/* ---- one connection -------------------------------------------------------------------------- */

static int check_connection(const struct lb_engine *engine, int fd, const void *first, size_t size)
{
    int rc = check_engine(engine);

    if (rc < 0)
        return rc;
    if (!first && size > 0)
        return -EINVAL;
    return size > LB_FIRST_MAX ? -EMSGSIZE : lb_peer_check(fd);
}

static struct lb_first *copy_first(const void *data, size_t size)
{
    struct lb_first *first = malloc(sizeof(*first) + size);

    if (!first)
        return NULL;
    *first = (struct lb_first){.size = size};
    memcpy(first->data, data, size);
    return first;
}

/* The lane's from now on; what can't be handed over is freed by the caller. */
static int hand_over(struct lb_engine *engine, struct lb_adopted *adopted, uint64_t *id)
{
    struct lb_door *door = &engine->door;
    unsigned lane = lb_door_least_lane(door);

    if (atomic_load(&door->stop) != LB_RUNNING || lb_gate_finished(&door->gate))
        return -ESHUTDOWN;
    *id = atomic_fetch_add(&door->last_id, 1) + 1; /* told before anybody can name it */
    adopted->arrival.id = *id;
    lb_door_load(door, lane);
    if (lb_inbox_post(inbox_of(engine, lane), &adopted->letter))
        return 0;
    lb_door_unload(door, lane);
    return -ESHUTDOWN;
}

static int adopt(struct lb_engine *engine, int fd, const void *first, size_t size, uint64_t *id)
{
    struct lb_adopted *adopted = malloc(sizeof(*adopted));
    unsigned keepalive_ms = engine->config.keepalive_ms;
    int rc = lb_listener_adopt(fd, keepalive_ms == LB_NO_KEEPALIVE ? 0 : keepalive_ms);
    uint64_t unwanted;

    if (!id)
        id = &unwanted;
    if (!adopted)
        return -ENOMEM;
    *adopted = (struct lb_adopted){
        .letter.kind = LB_LETTER_ADOPTED,
        .arrival = {.fd = fd, .listener = -1},
    };
    if (size > 0)
        adopted->arrival.first = copy_first(first, size);
    if (size > 0 && !adopted->arrival.first)
        rc = -ENOMEM;
    if (rc == 0)
        rc = hand_over(engine, adopted, id);
    if (rc == 0)
        return 0;
    free(adopted->arrival.first);
    free(adopted);
    return rc;
}

int lb_engine_adopt(struct lb_engine *engine, int fd, const void *first, size_t first_size,
                    uint64_t *id)
{
    int rc = check_connection(engine, fd, first, first_size);

    if (rc == 0)
        rc = adopt(engine, fd, first, first_size, id);
    if (rc < 0 && fd >= 0)
        close(fd);
    return rc;
}

/* ---- all streams ----------------------------------------------------------------------------- */

/* Every lane that takes letters tells by itself. */
static void ask_lanes(const struct lb_engine *engine, struct lb_listing *listings,
                      struct lb_list *list)
{
    for (unsigned i = 0; i < engine->worker_count; i++) {
        listings[i] = (struct lb_listing){.letter.kind = LB_LETTER_LIST, .list = list};
        if (!lb_inbox_post(inbox_of(engine, i), &listings[i].letter))
            lb_list_add(list, NULL);
    }
    pthread_mutex_lock(&list->lock);
    while (list->awaited > 0)
        pthread_cond_wait(&list->told, &list->lock);
    pthread_mutex_unlock(&list->lock);
}

/* Nobody else would answer. */
static void add_own(const struct lb_engine *engine, struct lb_list *list)
{
    list->awaited = 1;
    pthread_mutex_init(&list->lock, NULL);
    pthread_cond_init(&list->told, NULL);
    lb_list_add(list, &engine->workers[0].streams);
    pthread_cond_destroy(&list->told);
    pthread_mutex_destroy(&list->lock);
}

ssize_t lb_engine_streams(struct lb_engine *engine, struct lb_stream_info *infos, size_t room)
{
    struct lb_list list = {.infos = (uint8_t *)infos, .room = room};
    struct lb_listing *listings;
    int rc = check_engine(engine);

    if (rc < 0)
        return rc;
    if (!infos && room > 0)
        return -EINVAL;
    if (room > 0)
        list.each = infos[0].size;
    if (room > 0 &&
        (list.each < LB_FIRST_LAYOUT(struct lb_stream_info, peer) || list.each > LB_SIZED_MAX))
        return -EINVAL;
    if (lb_engine_is_inside(engine))
        return lb_engine_refuse_inside(engine, "lb_engine_streams", "ask elsewhere");
    if (!atomic_load(&engine->started))
        return 0;
    if (lb_own_loop_is_mine(engine)) {
        add_own(engine, &list);
        return (ssize_t)list.count;
    }
    listings = calloc(engine->worker_count, sizeof(*listings));
    if (!listings)
        return -ENOMEM;
    list.awaited = engine->worker_count;
    pthread_mutex_init(&list.lock, NULL);
    pthread_cond_init(&list.told, NULL);
    ask_lanes(engine, listings, &list);
    pthread_cond_destroy(&list.told);
    pthread_mutex_destroy(&list.lock);
    free(listings);
    return (ssize_t)list.count;
}
