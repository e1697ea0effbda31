/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- the table ------------------------------------------------------------------------------- */

int lb_stream_table_init(struct lb_stream_table *table, size_t memory_size, unsigned capacity)
{
    size_t total;

    *table = (struct lb_stream_table){.capacity = capacity};
    if (__builtin_add_overflow(sizeof(struct lb_stream) + 15, memory_size, &table->stride))
        return -EOVERFLOW;
    table->stride &= ~(size_t)15;
    if (__builtin_mul_overflow(table->stride, (size_t)capacity, &total))
        return -EOVERFLOW;
    table->base = mmap(NULL, total, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table->base == MAP_FAILED) {
        table->base = NULL;
        return -ENOMEM;
    }
    while (table->mask + 1 < capacity)
        table->mask = table->mask * 2 + 1;
    /* Large and zeroed: pages that are never needed cost nothing. */
    table->buckets = calloc(table->mask + 1, sizeof(struct lb_stream *));
    if (table->buckets)
        return 0;
    lb_stream_table_done(table);
    return -ENOMEM;
}

void lb_stream_table_done(struct lb_stream_table *table)
{
    if (table->base)
        munmap(table->base, table->stride * table->capacity);
    free(table->buckets);
    *table = (struct lb_stream_table){0};
}

struct lb_stream *lb_stream_table_add(struct lb_stream_table *table)
{
    struct lb_stream *stream = table->free;

    if (stream) {
        table->free = stream->next;
        memset(stream, 0, table->stride);
    } else if (table->touched < table->capacity) {
        stream = (struct lb_stream *)(void *)(table->base + table->stride * table->touched++);
    } else {
        return NULL;
    }
    table->used++;
    stream->next = table->live;
    if (table->live)
        table->live->previous = stream;
    table->live = stream;
    return stream;
}

/* Where the stream with that number is, or would be: in its bucket or in its predecessor. */
static struct lb_stream **find_link(const struct lb_stream_table *table, uint64_t id)
{
    struct lb_stream **link = &table->buckets[id & table->mask];

    while (*link && lb_stream_number(*link) != id)
        link = &(*link)->same_bucket;
    return link;
}

struct lb_stream *lb_stream_table_find(const struct lb_stream_table *table, uint64_t id)
{
    return *find_link(table, id);
}

static void put_in_bucket(struct lb_stream_table *table, struct lb_stream *stream, uint64_t id)
{
    struct lb_stream **bucket = &table->buckets[id & table->mask];

    stream->same_bucket = *bucket;
    *bucket = stream;
}

void lb_stream_table_number(struct lb_stream_table *table, struct lb_stream *stream, uint64_t id)
{
    stream->id = id;
    if (!stream->given_id)
        put_in_bucket(table, stream, id);
}

void lb_stream_table_promise(struct lb_stream_table *table, struct lb_stream *stream, uint64_t id)
{
    stream->given_id = id;
    put_in_bucket(table, stream, id);
}

void lb_stream_table_retire(struct lb_stream_table *table, struct lb_stream *stream)
{
    assert(stream->state == LB_STREAM_FREE && table->used > 0);
    table->used--;
    if (lb_stream_number(stream))
        *find_link(table, lb_stream_number(stream)) = stream->same_bucket;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        table->live = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    stream->previous = NULL;
    stream->next = table->retired;
    table->retired = stream;
}

void lb_stream_table_reuse(struct lb_stream_table *table)
{
    struct lb_stream *stream;

    while ((stream = table->retired)) {
        table->retired = stream->next;
        stream->next = table->free;
        table->free = stream;
    }
}

/* ---- queues ---------------------------------------------------------------------------------- */

void lb_stream_queue_put(struct lb_stream_queue *queue, struct lb_stream *stream)
{
    stream->queued = NULL;
    if (queue->first)
        queue->last->queued = stream;
    else
        queue->first = stream;
    queue->last = stream;
    queue->count++;
}

struct lb_stream *lb_stream_queue_take(struct lb_stream_queue *queue)
{
    struct lb_stream *stream = queue->first;

    if (!stream)
        return NULL;
    queue->first = stream->queued;
    queue->count--;
    return stream;
}

bool lb_stream_queue_remove(struct lb_stream_queue *queue, struct lb_stream *stream)
{
    struct lb_stream *before = NULL, *at = queue->first;

    for (; at && at != stream; at = at->queued)
        before = at;
    if (!at)
        return false;
    if (before)
        before->queued = stream->queued;
    else
        queue->first = stream->queued;
    if (queue->last == stream)
        queue->last = before;
    queue->count--;
    return true;
}

/* ---- one stream ------------------------------------------------------------------------------ */

uint64_t lb_stream_number(const struct lb_stream *stream)
{
    return stream->id ? stream->id : stream->given_id;
}

bool lb_stream_is_under_way(const struct lb_stream *stream)
{
    return stream->state == LB_STREAM_RECEIVING || stream->state == LB_STREAM_THROTTLED ||
           stream->state == LB_STREAM_PAUSED;
}

const char *lb_stream_state_name(const struct lb_stream *stream)
{
    static const char *const names[LB_STREAM_STATES] = {
        [LB_STREAM_FREE] = "free",
        [LB_STREAM_PARKED] = "parked",
        [LB_STREAM_ENTERING] = "entering",
        [LB_STREAM_RECEIVING] = "receiving",
        [LB_STREAM_THROTTLED] = "throttled",
        [LB_STREAM_PAUSED] = "paused",
        [LB_STREAM_CANCELLED] = "cancelled",
        [LB_STREAM_ENDING] = "ending",
        [LB_STREAM_COMMITTING] = "committing",
        [LB_STREAM_ANSWERING] = "answering",
    };

    return names[stream->state];
}

bool lb_stream_waits(const struct lb_stream *stream)
{
    return stream->state == LB_STREAM_PAUSED || stream->state == LB_STREAM_ENDING;
}

/* The total that others use up holds up those alone who send as fast as they may: one that sends
 * little could hide behind them from min_rate, if all that wait for it were excused. */
struct lb_hold lb_stream_hold(const struct lb_stream *stream, uint64_t now_ns)
{
    struct lb_hold hold = {.held = stream->state != LB_STREAM_RECEIVING};

    if (stream->state == LB_STREAM_THROTTLED && !lb_throttle_owes(&stream->throttled, now_ns))
        hold.held = lb_peer_is_ahead(&stream->peer, stream->conn.fd, stream->lane->pool.slot_size,
                                     &hold.waiting);
    return hold;
}

const struct lb_verdict *lb_stream_look(struct lb_stream *stream, uint64_t now_ns)
{
    struct lb_meter *meter = &stream->session.meter;

    if (!lb_stream_is_under_way(stream) || !meter->look_ns || now_ns < meter->look_ns)
        return NULL;
    return lb_meter_look(meter, &stream->lane->rules->limits, lb_stream_hold(stream, now_ns),
                         now_ns);
}

static uint64_t max_time_over_ns(const struct lb_stream *stream)
{
    uint64_t max_time_ns = stream->lane->rules->limits.max_time_ns;

    if (stream->verdict.end != LB_END_EOF || !max_time_ns)
        return 0;
    return stream->begun_ns + max_time_ns;
}

uint64_t lb_stream_end_by_ns(const struct lb_stream *stream)
{
    bool unread = stream->state == LB_STREAM_ANSWERING && stream->wire.queued > 0;
    bool counts = stream->state == LB_STREAM_ENDING || unread;

    return counts ? max_time_over_ns(stream) : 0;
}

bool lb_stream_is_late(const struct lb_stream *stream, uint64_t now_ns)
{
    uint64_t over_ns = max_time_over_ns(stream);

    return over_ns && now_ns >= over_ns;
}

static uint64_t earlier_if(bool counts, uint64_t deadline_ns, uint64_t earliest_ns)
{
    return counts && deadline_ns ? lb_earlier(deadline_ns, earliest_ns) : earliest_ns;
}

/* Each counts only where life.c looks at it, or a deadline in the past would ring for ever. */
void lb_stream_arm(struct lb_stream *stream)
{
    bool under_way = lb_stream_is_under_way(stream);
    bool sink_hears = under_way || stream->state == LB_STREAM_ENDING;
    uint64_t earliest_ns = stream->wire.until_ns ? stream->wire.until_ns : LB_NEVER;

    earliest_ns =
        earlier_if(stream->state == LB_STREAM_ENTERING, stream->enter_until_ns, earliest_ns);
    earliest_ns = earlier_if(under_way, stream->session.meter.look_ns, earliest_ns);
    earliest_ns = earlier_if(sink_hears, stream->session.alarm_ns, earliest_ns);
    earliest_ns = earlier_if(lb_stream_waits(stream), stream->session.doubt_ns, earliest_ns);
    earliest_ns = earlier_if(true, lb_stream_end_by_ns(stream), earliest_ns);
    lb_alarm_set(&stream->lane->alarms, &stream->alarm, earliest_ns);
}

void lb_stream_give_back(struct lb_stream *stream, struct lb_chunk *chunk)
{
    const struct lb_lane *lane = stream->lane;

    lane->backend->give_back(lane->backend_state, chunk);
    chunk->data = NULL;
}

/* ---- what a sink asks ------------------------------------------------------------------------ */

uint64_t lb_stream_id(const struct lb_stream *stream)
{
    return stream ? stream->id : 0;
}

const char *lb_stream_peer(const struct lb_stream *stream, char name[LB_PEER_SIZE])
{
    return stream && name ? lb_peer_name(&stream->peer, name) : NULL;
}

int lb_stream_address(const struct lb_stream *stream, struct sockaddr_storage *address)
{
    return stream && address ? lb_peer_sockaddr(&stream->peer, address) : -EINVAL;
}

int lb_stream_listener(const struct lb_stream *stream)
{
    if (!stream)
        return -EINVAL;
    return stream->listener < 0 ? -ENOENT : stream->listener;
}

struct lb_engine *lb_stream_engine(const struct lb_stream *stream)
{
    return stream ? stream->lane->engine : NULL;
}

void *lb_stream_worker(const struct lb_stream *stream)
{
    return stream ? stream->lane->worker_state : NULL;
}

int lb_stream_error(const struct lb_stream *stream)
{
    return stream ? stream->verdict.error : -EINVAL;
}

const char *lb_stream_why(const struct lb_stream *stream)
{
    return stream ? stream->verdict.why : NULL;
}

int lb_stream_fd(const struct lb_stream *stream)
{
    return stream ? stream->conn.fd : -EINVAL;
}

void *lb_stream_state(const struct lb_stream *stream)
{
    return stream ? (void *)(uintptr_t)stream->memory : NULL;
}
