/* SPDX-License-Identifier: MIT */
/* print: a stream's bytes in one piece, once they are all there. */
#include "error.h"
#include "output.h"
#include "quote.h"
#include "sinks.h"
#include "spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIRST_CAPACITY = 1024,
    MEMORY_MAX = 1024 * 1024, /* of one stream; beyond that it waits on disk */
    COPY_SIZE = 32 * 1024,
    QUOTED_PIECE = 4096,
};

struct print_context {
    struct lb_output output;
    bool terminal; /* obeys what it is sent */
    struct lb_spools spools;
};

struct print_state {
    uint8_t *data; /* NULL while empty, and once everything is in the spool */
    size_t size;
    size_t capacity;
    struct lb_spool spool;
};

static int print_open(struct lb_stream *stream, void *context)
{
    struct print_context *sink = context;
    struct print_state *state = lb_stream_state(stream);

    lb_spool_init(&state->spool, &sink->spools, stream, UINT64_MAX);
    return 0;
}

static void drop_memory(struct print_state *state)
{
    lb_spools_take_memory(state->spool.spools, -(int64_t)state->capacity);
    free(state->data);
    state->data = NULL;
    state->size = 0;
    state->capacity = 0;
}

/* Returns false if there is no memory for so much; then it is for the disk. */
static bool reserve(struct print_state *state, size_t size)
{
    size_t capacity = state->capacity ? state->capacity : FIRST_CAPACITY;
    int64_t more;
    uint8_t *data;

    while (capacity < size)
        capacity *= 2;
    if (capacity == state->capacity)
        return true;
    more = (int64_t)(capacity - state->capacity);
    if (!lb_spools_take_memory(state->spool.spools, more))
        return false;
    data = realloc(state->data, capacity);
    if (!data) {
        lb_spools_take_memory(state->spool.spools, -more);
        return false;
    }
    state->data = data;
    state->capacity = capacity;
    return true;
}

static int spill(struct print_state *state, const void *data, size_t size)
{
    int rc = 0;

    if (state->size > 0)
        rc = lb_spool_append(&state->spool, state->data, state->size);
    drop_memory(state);
    return rc == 0 ? lb_spool_append(&state->spool, data, size) : rc;
}

static ssize_t print_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct print_state *state = lb_stream_state(stream);
    int rc;

    (void)context;
    if (lb_spool_waiting(&state->spool) > 0 || size > MEMORY_MAX - state->size ||
        !reserve(state, state->size + size)) {
        rc = spill(state, data, size);
        return rc == 0 ? (ssize_t)size : rc;
    }
    memcpy(state->data + state->size, data, size);
    state->size += size;
    return (ssize_t)size;
}

/* Its alarm has rung. */
static int print_ready(struct lb_stream *stream, void *context)
{
    struct print_state *state = lb_stream_state(stream);

    (void)context;
    return lb_spool_look(&state->spool);
}

/* Strangers chose the bytes, and must not choose what a terminal does. */
static int write_quoted(const struct print_context *sink, struct lb_quoter *quoter,
                        const uint8_t *data, size_t size)
{
    char quoted[LB_QUOTE_ROOM(QUOTED_PIECE)];
    int rc = 0;

    while (rc == 0 && size > 0) {
        size_t piece = size < QUOTED_PIECE ? size : QUOTED_PIECE;
        size_t used = lb_quoter_take(quoter, (const char *)data, piece, quoted);

        rc = lb_output_write(&sink->output, quoted, used);
        data += piece;
        size -= piece;
    }
    return rc;
}

static int write_some(const struct print_context *sink, struct lb_quoter *quoter, const void *data,
                      size_t size)
{
    return sink->terminal ? write_quoted(sink, quoter, data, size)
                          : lb_output_write(&sink->output, data, size);
}

/* What a character that never ended has left. */
static int write_rest(const struct print_context *sink, struct lb_quoter *quoter)
{
    char quoted[LB_QUOTE_ROOM(0)];

    return lb_output_write(&sink->output, quoted, lb_quoter_finish(quoter, quoted));
}

static int copy_spool(const struct print_context *sink, struct lb_quoter *quoter,
                      struct lb_spool *spool)
{
    uint8_t buffer[COPY_SIZE];

    while (lb_spool_waiting(spool) > 0) {
        ssize_t got = lb_spool_peek(spool, buffer, sizeof(buffer));
        int rc = got < 0 ? (int)got : write_some(sink, quoter, buffer, (size_t)got);

        if (rc < 0)
            return rc;
        lb_spool_take(spool, (size_t)got);
    }
    return 0;
}

/* What arrived of a stream that did not end as eof is not printed: it would look complete. */
static int print_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct print_context *sink = context;
    struct print_state *state = lb_stream_state(stream);
    struct lb_quoter quoter = {.lines = true};
    int rc = 0;

    if (end == LB_END_EOF) {
        rc = lb_spool_keep(&state->spool);
        if (rc == 0)
            rc = write_some(sink, &quoter, state->data, state->size);
        if (rc == 0)
            rc = copy_spool(sink, &quoter, &state->spool);
        if (rc == 0)
            rc = write_rest(sink, &quoter);
    }
    drop_memory(state);
    lb_spool_done(&state->spool);
    return rc;
}

static int print_setup(void **context, const char *argument, const struct lb_sink_options *options,
                       struct lb_error *error)
{
    struct print_context *sink = malloc(sizeof(*sink));
    int rc;

    (void)argument;
    if (!sink)
        return lb_error_set(error, -ENOMEM, "print: out of memory");
    rc = lb_output_init(&sink->output, "print", options, error);
    sink->terminal = rc == 0 && isatty(sink->output.fd);
    if (rc == 0)
        rc = lb_spools_init(&sink->spools, "print", options, error);
    if (rc < 0) {
        free(sink);
        return rc;
    }
    *context = sink;
    return 0;
}

static int print_check(void *context, struct lb_error *error)
{
    const struct print_context *sink = context;

    return lb_spools_check(&sink->spools, error);
}

static void print_teardown(void *context)
{
    struct print_context *sink = context;

    lb_spools_done(&sink->spools);
    free(sink);
}

const struct lb_builtin lb_sink_print = {
    .sink =
        {
            LB_SINK_INIT,
            .name = "print",
            .state_size = sizeof(struct print_state),
            .flags = LB_SINK_SLOW_END,
            .needs = LB_NEEDS_OUTPUT | LB_NEEDS_TEMPORARY,
            .descriptors = 1, /* the spool */
            .open = print_open,
            .write = print_write,
            .ready = print_ready,
            .end = print_end,
            .check = print_check,
        },
    .help = "each stream in one piece on standard output, after its end",
    .options = LB_OPTION_SPOOL_TOTAL,
    .setup = print_setup,
    .teardown = print_teardown,
};
