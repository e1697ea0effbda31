/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include "payload.h"
#include "size.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A stream's own. */
struct s3_state {
    char key[S3_NAME_SIZE];
    struct s3_upload *upload;
    struct s3_part *full;    /* the first until a byte follows it; another while it has no hash */
    struct s3_part *filling; /* NULL: none yet */
    struct s3_payload payload;
    unsigned parts;
    uint64_t bytes;
    bool ended;
};

/* By the first worker, which has given up what recv gives up. */
static int s3_worker_open(void *context, unsigned worker, void **state)
{
    struct s3_sink *sink = context;
    int rc;

    (void)worker;
    (void)state;
    if (atomic_flag_test_and_set(&sink->asked_to_start))
        return 0;
    rc = s3_loop_start(sink->loop);
    sink->started = rc == 0;
    return rc;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int s3_open(struct lb_stream *stream, void *context)
{
    struct s3_sink *sink = context;
    struct s3_state *state = lb_stream_state(stream);
    int rc = s3_key_make(state->key, sink->prefix, sink->mark.text);

    if (rc < 0)
        return rc;
    sink->engine = lb_stream_engine(stream);
    rc = s3_payload_open(&state->payload, !sink->options.unsigned_payload);
    if (rc < 0)
        return rc;
    state->upload = s3_upload_open(&sink->uploads, lb_stream_id(stream), state->key);
    if (state->upload)
        return 0;
    s3_payload_close(&state->payload);
    return -ENOMEM;
}

/* How large the next part is. Beside one that waits it has as much: the lease's promise holds both,
 * and is not given up meanwhile. */
static size_t room_of_part(const struct s3_sink *sink, const struct s3_state *state)
{
    size_t wanted = s3_size_of_part(state->bytes, sink->options.part_size, sink->options.max_parts);
    size_t room;

    if (state->full && s3_payload_waits(state->full))
        return state->full->room;
    room = s3_memory_grow(sink->uploads.memory, s3_upload_lease(state->upload), wanted);
    return room < wanted ? room : wanted;
}

static int begin_part(const struct s3_sink *sink, struct s3_state *state)
{
    struct s3_part *part;

    assert(!state->filling);
    part = s3_part_open(sink->uploads.memory, s3_upload_lease(state->upload), state->parts + 1,
                        room_of_part(sink, state));
    if (!part)
        return -ENOMEM;
    state->parts++;
    state->filling = part;
    return s3_payload_begin(&state->payload, part);
}

/* Where the next bytes go. Returns how many, 0 for none now, or -errno. */
static ssize_t find_room(const struct s3_sink *sink, struct s3_state *state, uint8_t **data)
{
    int rc = s3_upload_failed(state->upload);

    if (rc == 0 && !state->filling)
        rc = begin_part(sink, state);
    return rc < 0 ? rc : (ssize_t)s3_part_room(state->filling, data);
}

static ssize_t s3_place(struct lb_stream *stream, void *context, void **data)
{
    uint8_t *place = NULL;
    ssize_t room = find_room(context, lb_stream_state(stream), &place);

    *data = place;
    return room;
}

/* So many bytes of filling's last block have come. */
static int take(struct s3_state *state, size_t size)
{
    struct s3_part *part = state->filling, *before = state->full;
    int rc;

    assert(part);
    s3_part_add(part, size);
    state->bytes += size;
    rc = s3_payload_add(&state->payload, part, before, size);
    if (rc < 0)
        return rc;
    if (before && !s3_payload_waits(before)) {
        s3_upload_part(state->upload, before);
        state->full = NULL;
    }
    if (part->size < part->room)
        return 0;
    state->filling = NULL;
    /* The first is perhaps an object by itself. */
    if (part->number == 1 || s3_payload_waits(part))
        state->full = part;
    else
        s3_upload_part(state->upload, part);
    return 0;
}

/* What the store would refuse in the end is refused as soon as it is known. */
static int check_limits(const struct s3_sink *sink, struct lb_stream *stream,
                        const struct s3_state *state)
{
    if (state->parts > sink->options.max_parts)
        return lb_stream_over_limit(stream, "s3-max-parts");
    if (state->bytes >= S3_OBJECT_MOST)
        return lb_stream_over_limit(stream, "s3-object-size");
    return 0;
}

static ssize_t s3_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct s3_sink *sink = context;
    struct s3_state *state = lb_stream_state(stream);
    const uint8_t *bytes = data;
    size_t taken = 0;

    while (taken < size) {
        uint8_t *place = NULL;
        ssize_t room = find_room(sink, state, &place);
        size_t piece = room > 0 && (size_t)room < size - taken ? (size_t)room : size - taken;
        int rc;

        if (room == 0)
            break;
        rc = room < 0 ? (int)room : check_limits(sink, stream, state);
        if (rc < 0)
            return rc;
        if (place != bytes + taken)
            memcpy(place, bytes + taken, piece);
        rc = take(state, piece);
        if (rc < 0)
            return rc;
        taken += piece;
    }
    return (ssize_t)taken;
}

static int s3_ready(struct lb_stream *stream, void *context)
{
    const struct s3_state *state = lb_stream_state(stream);

    (void)context;
    /* After its end the result tells. */
    return state->ended ? 0 : s3_upload_failed(state->upload);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void drop_parts(struct s3_state *state)
{
    if (state->full)
        s3_part_close(state->full);
    if (state->filling)
        s3_part_close(state->filling);
    state->full = NULL;
    state->filling = NULL;
}

/* What is left in hand is the last part, which is empty if there is none, or the last two. */
static int finish_parts(const struct s3_sink *sink, struct s3_state *state, struct s3_part **last)
{
    int rc = 0;

    if (state->full && state->filling && state->filling->size == 0) {
        s3_part_close(state->filling);
        state->filling = NULL;
    }
    if (!state->full && !state->filling)
        rc = begin_part(sink, state);
    if (rc == 0)
        rc = s3_payload_end(&state->payload, state->filling, state->full);
    if (rc < 0)
        return rc;
    if (state->full && state->filling)
        s3_upload_part(state->upload, state->full);
    *last = state->filling ? state->filling : state->full;
    state->full = NULL;
    state->filling = NULL;
    return 0;
}

/* Nothing is handed over any more but this. */
static void hand_over(const struct s3_sink *sink, struct s3_state *state, bool whole)
{
    struct s3_part *last = NULL;

    state->ended = true;
    if (whole && finish_parts(sink, state, &last) < 0)
        whole = false;
    if (!whole)
        drop_parts(state);
    s3_upload_end(state->upload, last, whole, state->bytes);
    s3_payload_close(&state->payload);
}

static int result_of(struct lb_stream *stream, struct s3_state *state)
{
    enum s3_result result = s3_upload_result(state->upload);
    int rc = s3_upload_failed(state->upload);

    if (result == S3_PENDING)
        return -EINPROGRESS;
    if (result == S3_IN_DOUBT)
        lb_stream_in_doubt(stream);
    s3_upload_leave(state->upload);
    if (result == S3_STORED)
        return 0;
    return rc < 0 ? rc : -EIO;
}

static int s3_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct s3_state *state = lb_stream_state(stream);
    bool first = !state->ended;

    if (first)
        hand_over(context, state, end == LB_END_EOF);
    if (end == LB_END_EOF)
        return result_of(stream, state);
    if (first) {
        /* What is to be aborted doesn't keep the stream. */
        s3_upload_leave(state->upload);
        return 0;
    }
    /* Ended otherwise meanwhile, by a stop or a limit of time: even if it is stored, its sender
     * can't be told so, nor that it isn't. */
    if (s3_upload_result(state->upload) != S3_FAILED)
        lb_stream_in_doubt(stream);
    if (s3_upload_result(state->upload) != S3_PENDING)
        return result_of(stream, state);
    s3_upload_give_up(state->upload);
    return -ECANCELED;
}

static const char *s3_receipt_id(struct lb_stream *stream, void *context)
{
    const struct s3_state *state = lb_stream_state(stream);

    (void)context;
    return state->key;
}

static bool s3_timing(void *context, size_t index, struct lb_timing *timing)
{
    const struct s3_sink *sink = context;

    if (index > 0)
        return false;
    s3_loop_timing(sink->loop, timing);
    return true;
}

const struct lb_sink s3_sink_table = {
    LB_SINK_INIT,
    .name = "s3",
    .state_size = sizeof(struct s3_state),
    .flags = LB_SINK_MAY_PAUSE,
    .needs = LB_NEEDS_NETWORK,
    .descriptors = 1,
    .threads = 1,
    .open = s3_open,
    .write = s3_write,
    .place = s3_place,
    .ready = s3_ready,
    .end = s3_end,
    .receipt_id = s3_receipt_id,
    .worker_open = s3_worker_open,
    .timing = s3_timing,
};
