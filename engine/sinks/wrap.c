/* SPDX-License-Identifier: MIT */
/* A sink that wraps another: what it doesn't do itself goes to that one, with the context that is
 * that one's. */
#include "given_sink.h"
#include "sized.h"

#include <errno.h>

/* Each of a stream's memory is aligned to so much. */
enum { STATE_ALIGN = 16 };

static const struct lb_layout layout = {
    .name = "struct lb_wrap",
    .first = LB_FIRST_LAYOUT(struct lb_wrap, state_offset),
    .known = sizeof(struct lb_wrap),
};

/* ---- passing on ------------------------------------------------------------------------------ */

static int pass_open(struct lb_stream *stream, void *context)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->open(stream, wrap->inner_context);
}

static ssize_t pass_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->write(stream, wrap->inner_context, data, size);
}

static int pass_target(struct lb_stream *stream, void *context)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->target(stream, wrap->inner_context);
}

static ssize_t pass_place(struct lb_stream *stream, void *context, void **data)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->place(stream, wrap->inner_context, data);
}

static int pass_ready(struct lb_stream *stream, void *context)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->ready(stream, wrap->inner_context);
}

static int pass_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->end(stream, wrap->inner_context, end);
}

static int pass_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->settle(streams, count, wrap->inner_context);
}

static const char *pass_receipt_id(struct lb_stream *stream, void *context)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->receipt_id(stream, wrap->inner_context);
}

static int pass_directory(void *context)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->directory(wrap->inner_context);
}

static int pass_check(void *context, struct lb_error *error)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->check(wrap->inner_context, error);
}

static int pass_worker_open(void *context, unsigned worker, void **state)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->worker_open(wrap->inner_context, worker, state);
}

static void pass_worker_close(void *context, void *state)
{
    const struct lb_wrap *wrap = context;

    wrap->inner->worker_close(wrap->inner_context, state);
}

static bool pass_timing(void *context, size_t index, struct lb_timing *timing)
{
    const struct lb_wrap *wrap = context;

    return wrap->inner->timing(wrap->inner_context, index, timing);
}

/* ---- wrapping -------------------------------------------------------------------------------- */

/* A call that inner has not is passed by nobody: that it is not there means something, too. */
#define PASS(call)                                                                                 \
    if (!outer->call && inner->call)                                                               \
    outer->call = pass_##call

static void pass_bytes(struct lb_sink *outer, const struct lb_sink *inner)
{
    /* Whoever takes the bytes itself has to see them. */
    if (outer->write)
        return;
    outer->write = pass_write;
    PASS(target);
    PASS(place);
}

static void pass_calls(struct lb_sink *outer, const struct lb_sink *inner)
{
    pass_bytes(outer, inner);
    PASS(open);
    PASS(ready);
    PASS(end);
    PASS(settle);
    PASS(receipt_id);
    PASS(directory);
    PASS(check);
    PASS(timing);
    if (outer->worker_open || outer->worker_close)
        return;
    PASS(worker_open);
    PASS(worker_close);
}

/* Returns where outer's own state begins, behind inner's. */
static size_t join(struct lb_sink *outer, const struct lb_sink *inner)
{
    size_t offset = (inner->state_size + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);

    if (__builtin_add_overflow(outer->state_size, offset, &outer->state_size))
        outer->state_size = SIZE_MAX; /* which no engine takes */
    if (!outer->name)
        outer->name = inner->name;
    outer->flags |= inner->flags;
    outer->needs |= inner->needs;
    outer->descriptors += inner->descriptors;
    outer->threads += inner->threads;
    pass_calls(outer, inner);
    return offset;
}

int lb_sink_wrap(struct lb_sink *outer, struct lb_wrap *wrap, struct lb_error *error)
{
    struct lb_wrap taken = {LB_WRAP_INIT};
    struct lb_sink made, inner;
    int rc = lb_sized_take(&layout, &taken, wrap, error);

    if (rc < 0)
        return rc;
    if (outer && taken.inner == outer)
        return lb_error_set(error, -EINVAL, "a sink can't wrap itself");
    rc = lb_given_sink_take(&inner, taken.inner, error);
    if (rc < 0)
        return rc;
    rc = lb_given_sink_copy(&made, outer, error);
    if (rc < 0)
        return rc;
    taken.state_offset = join(&made, &inner);
    rc = lb_given_sink_check(&made, error);
    if (rc == 0)
        rc = lb_given_sink_give(outer, &made, error);
    return rc < 0 ? rc : lb_sized_give(&layout, wrap, &taken);
}

void *lb_wrap_state(const struct lb_wrap *wrap, const struct lb_stream *stream)
{
    char *states = lb_stream_state(stream);

    return wrap && states ? states + wrap->state_offset : NULL;
}
