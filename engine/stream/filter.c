/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const struct lb_filter_use *use_of(const struct lb_stage *stage)
{
    return &stage->stream->lane->rules->filters[stage->index];
}

/* The first filter from there on that has to see the bytes, or NULL. */
static const struct lb_filter *find_taker(const struct lb_rules *rules, unsigned *index)
{
    for (; *index < rules->filter_count; ++*index)
        if (rules->filters[*index].filter->take)
            return rules->filters[*index].filter;
    return NULL;
}

/* ---- layout ---------------------------------------------------------------------------------- */

enum { PIECE_LEAST = 1024 };

static size_t align(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

/* How large a piece may be, of which no filter makes more than its scratch holds, and all together
 * no more than limit. */
static size_t largest_piece(const struct lb_rules *rules, size_t limit)
{
    for (unsigned i = rules->filter_count; i-- > 0;) {
        const struct lb_filter *filter = rules->filters[i].filter;

        if (!filter->take)
            continue;
        assert(filter->grows > 0);
        if (limit > LB_SCRATCH_SIZE)
            limit = LB_SCRATCH_SIZE;
        limit = limit > filter->extra ? (limit - filter->extra) / filter->grows : 0;
    }
    return limit;
}

/* How much all of them may pass on at the EOF. */
static size_t largest_rest(const struct lb_rules *rules)
{
    size_t rest = 0;

    for (unsigned i = 0; i < rules->filter_count; i++) {
        const struct lb_filter *filter = rules->filters[i].filter;

        if (filter->take && rest > 0)
            rest = filter->grows * rest + filter->extra;
        rest += filter->rest;
    }
    return rest;
}

/* All that comes of a piece has to fit into the one slot that a stream may keep. */
static void fit_slots(struct lb_rules *rules)
{
    size_t *slot_size = &rules->pool.slot_size, rest = largest_rest(rules);

    while (*slot_size < LB_SCRATCH_SIZE &&
           (largest_piece(rules, *slot_size) < PIECE_LEAST || *slot_size < rest))
        *slot_size *= 2;
    assert(rest <= *slot_size);
    rules->piece = largest_piece(rules, *slot_size);
}

void lb_rules_lay_out(struct lb_rules *rules)
{
    rules->stream_size = align(rules->sink->state_size);
    for (unsigned i = 0; i < rules->filter_count; i++) {
        struct lb_filter_use *use = &rules->filters[i];

        use->offset = rules->stream_size;
        rules->stream_size += align(use->filter->state_size);
        rules->filtered |= use->filter->take != NULL;
    }
    rules->piece = largest_piece(rules, SIZE_MAX);
    if (rules->filtered && rules->sink->flags & LB_SINK_MAY_PAUSE)
        fit_slots(rules);
    assert(rules->piece >= PIECE_LEAST);
}

void lb_filters_release(struct lb_rules *rules)
{
    for (; rules->filter_count > 0; rules->filter_count--) {
        const struct lb_filter_use *use = &rules->filters[rules->filter_count - 1];

        if (use->filter->release && use->settings)
            use->filter->release(use->settings);
    }
}

/* ---- a filter's view ------------------------------------------------------------------------- */

void *lb_stage_state(const struct lb_stage *stage)
{
    return stage->stream->memory + use_of(stage)->offset;
}

/* Copies of what was read before as much as fits; it is gone then, unless only peeked at. */
static size_t take_first(struct lb_first *first, void *data, size_t size, int flags)
{
    size_t rest = first ? first->size - first->taken : 0;

    if (rest > size)
        rest = size;
    if (rest == 0)
        return 0;
    memcpy(data, first->data + first->taken, rest);
    if (!(flags & MSG_PEEK))
        first->taken += rest;
    return rest;
}

ssize_t lb_stage_receive(const struct lb_stage *stage, void *data, size_t size, int flags)
{
    size_t done = take_first(stage->stream->flow.first, data, size, flags);
    ssize_t got = 0;

    if (done == size && size > 0)
        return (ssize_t)done;
    do {
        got =
            recv(stage->stream->conn.fd, (uint8_t *)data + done, size - done, flags | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return done > 0 ? (ssize_t)done : -errno;
    return (ssize_t)done + got;
}

uint8_t *lb_stage_scratch(const struct lb_stage *stage)
{
    size_t part = stage->index * LB_SCRATCH_WAYS + stage->back;

    return stage->stream->lane->scratch + LB_SCRATCH_SIZE * part;
}

void lb_stage_set_peer(const struct lb_stage *stage, const union lb_peer *peer)
{
    assert(stage->stream->state == LB_STREAM_ENTERING);
    stage->stream->peer = *peer;
}

const char *lb_stream_identity(const struct lb_stream *stream)
{
    const char *identity = NULL;

    for (unsigned i = 0;
         !identity && stream && stream->opened && i < stream->lane->rules->filter_count; i++) {
        const struct lb_filter *filter = stream->lane->rules->filters[i].filter;
        struct lb_stage stage = {.stream = (struct lb_stream *)stream, .index = i};

        identity = filter->identity ? filter->identity(&stage) : NULL;
    }
    return identity;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static bool is_keeping(const struct lb_flow *flow)
{
    return flow->kept.data;
}

/* What the sink leaves of a filter's output waits in a slot of the pool's reserve. */
static bool keep(struct lb_stream *stream, const uint8_t *data, size_t size,
                 struct lb_verdict *verdict)
{
    struct lb_pool *pool = &stream->lane->pool;
    struct lb_flow *flow = &stream->flow;
    unsigned slot = 0;

    if (!is_keeping(flow)) {
        if (!lb_pool_take(pool, &slot)) {
            *verdict = (struct lb_verdict){.end = LB_END_ERROR, .error = -ENOBUFS};
            return false;
        }
        lb_pool_uncover(pool, slot);
        flow->kept = (struct lb_kept){.data = lb_pool_data(pool, slot)};
    }
    assert(flow->kept.size + size <= pool->slot_size);
    memcpy(flow->kept.data + flow->kept.size, data, size);
    flow->kept.size += (uint32_t)size;
    return true;
}

void lb_filters_drop(struct lb_stream *stream)
{
    struct lb_pool *pool = &stream->lane->pool;
    struct lb_flow *flow = &stream->flow;
    unsigned slot;

    if (!is_keeping(flow))
        return;
    slot = lb_pool_slot(pool, flow->kept.data);
    lb_pool_cover(pool, slot);
    lb_pool_put(pool, slot);
    flow->kept = (struct lb_kept){0};
}

static bool pass_to_session(struct lb_stream *stream, const uint8_t *data, size_t size,
                            struct lb_verdict *verdict)
{
    ssize_t taken = 0;

    if (!is_keeping(&stream->flow))
        taken = lb_session_write(stream, data, size, verdict);
    if (taken < 0)
        return false;
    return (size_t)taken == size || keep(stream, data + taken, size - (size_t)taken, verdict);
}

static bool pass_to(struct lb_stream *stream, unsigned index, const uint8_t *data, size_t size,
                    struct lb_verdict *verdict)
{
    const struct lb_filter *filter = find_taker(stream->lane->rules, &index);
    struct lb_stage stage = {.stream = stream, .index = index};

    if (size == 0)
        return true;
    return filter ? filter->take(&stage, data, size, verdict)
                  : pass_to_session(stream, data, size, verdict);
}

bool lb_pass(const struct lb_stage *stage, const uint8_t *data, size_t size,
             struct lb_verdict *verdict)
{
    return pass_to(stage->stream, stage->index + 1, data, size, verdict);
}

ssize_t lb_filters_feed(struct lb_stream *stream, const uint8_t *data, size_t size,
                        struct lb_verdict *verdict)
{
    size_t piece = stream->lane->rules->piece, done = 0;

    while (done < size && !is_keeping(&stream->flow)) {
        size_t next = size - done < piece ? size - done : piece;

        if (!pass_to(stream, 0, data + done, next, verdict))
            return -1;
        done += next;
    }
    return (ssize_t)done;
}

bool lb_filters_flush(struct lb_stream *stream, struct lb_verdict *verdict)
{
    struct lb_flow *flow = &stream->flow;
    ssize_t taken;

    if (!is_keeping(flow))
        return true;
    taken = lb_session_write(stream, flow->kept.data + flow->kept.taken,
                             flow->kept.size - flow->kept.taken, verdict);
    if (taken < 0) {
        lb_filters_drop(stream);
        return false;
    }
    flow->kept.taken += (uint32_t)taken;
    if (flow->kept.taken == flow->kept.size)
        lb_filters_drop(stream);
    return true;
}

/* The filters from index on. */
static void judge_eof(struct lb_stream *stream, unsigned index, struct lb_verdict *verdict)
{
    const struct lb_rules *rules = stream->lane->rules;

    for (; index < rules->filter_count && verdict->end == LB_END_EOF; index++) {
        struct lb_stage stage = {.stream = stream, .index = index};

        if (rules->filters[index].filter->eof)
            rules->filters[index].filter->eof(&stage, verdict);
    }
}

void lb_filters_eof(struct lb_stream *stream, struct lb_verdict *verdict)
{
    judge_eof(stream, 0, verdict);
}

bool lb_pass_end(const struct lb_stage *stage, struct lb_verdict *verdict)
{
    *verdict = (struct lb_verdict){.end = LB_END_EOF};
    judge_eof(stage->stream, stage->index + 1, verdict);
    return false;
}

/* ---- the way back ---------------------------------------------------------------------------- */

/* The filters before index, from the last to the first. */
static int say_before(struct lb_stream *stream, unsigned index, const void *data, size_t size)
{
    while (index > 0) {
        const struct lb_filter *filter = stream->lane->rules->filters[--index].filter;
        struct lb_stage stage = {.stream = stream, .index = index, .back = true};

        if (filter->say)
            return filter->say(&stage, data, size);
    }
    return lb_wire_put(stream, data, size);
}

int lb_stage_say(const struct lb_stage *stage, const void *data, size_t size)
{
    return say_before(stage->stream, stage->index, data, size);
}

/* Those of a peer without preludes are open only from when they are needed on. */
static int open_late(struct lb_stream *stream)
{
    return stream->opened ? 0 : lb_filters_open(stream);
}

int lb_filters_tell(struct lb_stream *stream, const void *data, size_t size)
{
    int rc;

    if (size == 0)
        return 0;
    rc = open_late(stream);
    if (rc == 0)
        rc = say_before(stream, stream->lane->rules->filter_count, data, size);
    if (rc == 0)
        stream->wire.mid_line = ((const char *)data)[size - 1] != '\n';
    return rc;
}

void lb_filters_finish(struct lb_stream *stream)
{
    for (unsigned i = stream->lane->rules->filter_count; i-- > 0;) {
        const struct lb_filter *filter = stream->lane->rules->filters[i].filter;
        struct lb_stage stage = {.stream = stream, .index = i, .back = true};

        if (filter->finish && stream->opened)
            filter->finish(&stage);
    }
}

/* At a time: filters may make more of it, and the queue's bound is passed by no more than that. */
enum { SAY_MOST = 16 << 10 };

ssize_t lb_stream_say(struct lb_stream *stream, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t said = 0, room;

    if (!stream || (!data && size > 0))
        return -EINVAL;
    if (!lb_stream_is_under_way(stream) && stream->state != LB_STREAM_PARKED &&
        stream->state != LB_STREAM_ENDING)
        return -EBUSY;
    /* Until the queue is full, so that there is something to wait for whenever less is taken. */
    while (said < size && (room = lb_wire_room(&stream->wire)) > 0) {
        size_t part = size - said < SAY_MOST ? size - said : SAY_MOST;
        int rc;

        if (part > room)
            part = room;
        rc = lb_filters_tell(stream, bytes + said, part);
        if (rc < 0)
            return rc;
        said += part;
    }
    return said == 0 && size > 0 ? -EAGAIN : (ssize_t)said;
}

int lb_stream_refuse(struct lb_stream *stream, const char *text)
{
    if (!stream)
        return -EINVAL;
    if (!lb_session_refuse(stream, text ? text : ""))
        return -EBUSY;
    lb_filters_tell(stream, text, text ? strnlen(text, LB_REFUSAL_MAX) : 0);
    return -ECONNREFUSED;
}

/* ---- preludes -------------------------------------------------------------------------------- */

static void close_before(struct lb_stream *stream, unsigned index)
{
    while (index > 0) {
        const struct lb_filter *filter = stream->lane->rules->filters[--index].filter;
        struct lb_stage stage = {.stream = stream, .index = index};

        if (filter->close)
            filter->close(&stage);
    }
}

int lb_filters_open(struct lb_stream *stream)
{
    const struct lb_rules *rules = stream->lane->rules;

    for (unsigned i = 0; i < rules->filter_count; i++) {
        const struct lb_filter_use *use = &rules->filters[i];
        struct lb_stage stage = {.stream = stream, .index = i};
        int rc = use->filter->open ? use->filter->open(&stage, use->settings) : 0;

        if (rc < 0) {
            close_before(stream, i);
            stream->prelude = i;
            return rc;
        }
    }
    stream->opened = true;
    return 0;
}

void lb_filters_close(struct lb_stream *stream)
{
    lb_filters_drop(stream);
    if (stream->opened)
        close_before(stream, stream->lane->rules->filter_count);
    stream->opened = false;
}

static bool expects(const struct lb_filter_use *use, const union lb_peer *peer)
{
    const struct lb_filter *filter = use->filter;

    return filter->enter && (!filter->expects || filter->expects(use->settings, peer));
}

bool lb_filters_expect(const struct lb_stream *stream)
{
    const struct lb_rules *rules = stream->lane->rules;

    for (unsigned i = 0; i < rules->filter_count; i++)
        if (expects(&rules->filters[i], &stream->peer))
            return true;
    return false;
}

int lb_filters_enter(struct lb_stream *stream, const char **why)
{
    const struct lb_rules *rules = stream->lane->rules;

    for (; stream->prelude < rules->filter_count; stream->prelude++) {
        const struct lb_filter_use *use = &rules->filters[stream->prelude];
        struct lb_stage stage = {.stream = stream, .index = stream->prelude};
        int rc = expects(use, &stream->peer) ? use->filter->enter(&stage, why) : 0;

        if (rc < 0)
            return rc;
    }
    return 0;
}

bool lb_filters_begin(struct lb_stream *stream, struct lb_verdict *verdict)
{
    const struct lb_rules *rules = stream->lane->rules;
    int rc = open_late(stream);

    if (rc < 0) {
        *verdict = (struct lb_verdict){.end = LB_END_ERROR, .error = rc};
        return false;
    }
    /* A fresh socket has room for it; a peer that is gone shows when it is received from. */
    lb_filters_tell(stream, rules->greeting, rules->greeting_size);
    return true;
}

const char *lb_filters_prelude(const struct lb_stream *stream)
{
    return stream->lane->rules->filters[stream->prelude].filter->name;
}
