/* SPDX-License-Identifier: MIT */
/* dir: a file for each stream, under a name that the server makes. */
#include "../error.h"
#include "../stamp.h"
#include "output.h"
#include "partial.h"
#include "sinks.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct dir_context {
    int directory_fd;
};

struct dir_state {
    struct lb_partial partial;
    char name[LB_STAMP_SIZE];
};

static int dir_open(struct lb_stream *stream, void *context)
{
    const struct dir_context *sink = context;
    struct dir_state *state = lb_stream_state(stream);
    int rc;

    /* Another process may have taken the name; each try makes a new one. */
    do {
        lb_stamp_make(state->name);
        rc = lb_partial_open(&state->partial, sink->directory_fd, state->name);
    } while (rc == -EEXIST);
    return rc;
}

static ssize_t dir_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct dir_state *state = lb_stream_state(stream);
    int rc = lb_file_write(state->partial.fd, data, size);

    (void)context;
    return rc < 0 ? rc : (ssize_t)size;
}

static int dir_target(struct lb_stream *stream, void *context)
{
    const struct dir_state *state = lb_stream_state(stream);

    (void)context;
    return state->partial.fd;
}

static int dir_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct dir_state *state = lb_stream_state(stream);

    (void)context;
    return end == LB_END_EOF ? lb_partial_publish(&state->partial)
                             : lb_partial_keep(&state->partial);
}

static const char *dir_receipt_id(struct lb_stream *stream, void *context)
{
    const struct dir_state *state = lb_stream_state(stream);

    (void)context;
    return state->name;
}

static int dir_setup(void **context, const char *argument, const struct lb_sink_options *options,
                     struct lb_error *error)
{
    struct dir_context *sink = malloc(sizeof(*sink));

    (void)options;
    if (!sink)
        return lb_error_set(error, -ENOMEM, "dir: out of memory");
    sink->directory_fd = lb_directory_open(argument, "dir", argument, error);
    if (sink->directory_fd < 0) {
        int rc = sink->directory_fd;

        free(sink);
        return rc;
    }
    *context = sink;
    return 0;
}

static void dir_teardown(void *context)
{
    struct dir_context *sink = context;

    close(sink->directory_fd);
    free(sink);
}

const struct lb_builtin lb_sink_dir = {
    .sink =
        {
            .name = "dir",
            .state_size = sizeof(struct dir_state),
            .flags = LB_SINK_SLOW_END,
            .open = dir_open,
            .write = dir_write,
            .target = dir_target,
            .end = dir_end,
            .receipt_id = dir_receipt_id,
        },
    .argument = "PATH",
    .setup = dir_setup,
    .teardown = dir_teardown,
};
