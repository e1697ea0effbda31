/* SPDX-License-Identifier: MIT */
/* print: a stream's bytes in one piece, once they are all there. */
#include "error.h"
#include "output.h"
#include "sinks.h"
#include "spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 1024,
    MEMORY_MAX = 1024 * 1024, /* of one stream; beyond that it waits on disk */
    COPY_SIZE = 32 * 1024,
};

struct print_state {
    uint8_t *data; /* NULL while empty, and once everything is in the spool */
    size_t size;
    size_t capacity;
    struct lb_spool spool;
};

static int print_open(struct lb_stream *stream, void *context)
{
    struct print_state *state = lb_stream_state(stream);

    (void)context;
    lb_spool_init(&state->spool, UINT64_MAX);
    return 0;
}

static int reserve(struct print_state *state, size_t size)
{
    size_t capacity = state->capacity ? state->capacity : FIRST_CAPACITY;
    uint8_t *data;

    while (capacity < size)
        capacity *= 2;
    if (capacity == state->capacity)
        return 0;
    data = realloc(state->data, capacity);
    if (!data)
        return -ENOMEM;
    state->data = data;
    state->capacity = capacity;
    return 0;
}

static int spill(struct print_state *state, const void *data, size_t size)
{
    int rc = 0;

    if (state->size > 0)
        rc = lb_spool_append(&state->spool, state->data, state->size);
    free(state->data);
    state->data = NULL;
    state->size = 0;
    state->capacity = 0;
    return rc == 0 ? lb_spool_append(&state->spool, data, size) : rc;
}

static ssize_t print_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct print_state *state = lb_stream_state(stream);
    int rc;

    (void)context;
    if (lb_spool_waiting(&state->spool) > 0 || size > MEMORY_MAX - state->size) {
        rc = spill(state, data, size);
    } else {
        rc = reserve(state, state->size + size);
        if (rc == 0) {
            memcpy(state->data + state->size, data, size);
            state->size += size;
        }
    }
    return rc == 0 ? (ssize_t)size : rc;
}

static int copy_spool(struct lb_spool *spool, const struct lb_output *output)
{
    uint8_t buffer[COPY_SIZE];

    while (lb_spool_waiting(spool) > 0) {
        ssize_t got = lb_spool_peek(spool, buffer, sizeof(buffer));
        int rc = got < 0 ? (int)got : lb_output_write(output, buffer, (size_t)got);

        if (rc < 0)
            return rc;
        lb_spool_take(spool, (size_t)got);
    }
    return 0;
}

/* What arrived of a stream that did not end as eof is not printed: it would look complete. */
static int print_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct print_state *state = lb_stream_state(stream);
    int rc = 0;

    if (end == LB_END_EOF) {
        rc = lb_output_write(context, state->data, state->size);
        if (rc == 0)
            rc = copy_spool(&state->spool, context);
    }
    free(state->data);
    lb_spool_done(&state->spool);
    return rc;
}

static int print_setup(void **context, const char *argument, const struct lb_sink_options *options,
                       struct lb_error *error)
{
    struct lb_output *output = malloc(sizeof(*output));
    int rc;

    (void)argument;
    if (!output)
        return lb_error_set(error, -ENOMEM, "print: out of memory");
    rc = lb_output_init(output, "print", options, error);
    if (rc < 0) {
        free(output);
        return rc;
    }
    *context = output;
    return 0;
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
            .end = print_end,
        },
    .help = "each stream in one piece on standard output, after its end",
    .setup = print_setup,
    .teardown = free,
};
