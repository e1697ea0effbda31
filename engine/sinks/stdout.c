/* SPDX-License-Identifier: MIT */
/* stdout: passed through as it comes, one stream at a time. */
#include "error.h"
#include "output.h"
#include "sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct stdout_context {
    struct lb_output output;
    bool reopened;  /* output.fd is ours to close */
    bool may_block; /* a write takes its time: ask first, and write no more than surely fits */
};

struct stdout_state {
    bool watching;
};

static ssize_t put(const struct stdout_context *context, const void *data, size_t size)
{
    if (context->may_block) {
        struct pollfd poller = {.fd = context->output.fd, .events = POLLOUT};

        if (poll(&poller, 1, 0) <= 0)
            return -EAGAIN;
        /* A pipe that is ready has room for this many bytes at least. */
        if (size > PIPE_BUF)
            size = PIPE_BUF;
    }
    return lb_output_put(&context->output, data, size);
}

static ssize_t stdout_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct stdout_context *sink = context;
    struct stdout_state *state = lb_stream_state(stream);
    const uint8_t *bytes = data;
    size_t taken = 0;

    while (taken < size) {
        ssize_t got = put(sink, bytes + taken, size - taken);

        if (got == -EAGAIN) {
            int rc = lb_stream_watch(stream, sink->output.fd, POLLOUT);

            if (rc < 0)
                return rc;
            state->watching = true;
            break;
        }
        if (got < 0)
            return got;
        taken += (size_t)got;
    }
    return (ssize_t)taken;
}

static int stdout_target(struct lb_stream *stream, void *context)
{
    const struct stdout_context *sink = context;

    (void)stream;
    return sink->output.fd;
}

static int stdout_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct stdout_context *sink = context;
    const struct stdout_state *state = lb_stream_state(stream);

    (void)end;
    if (state->watching)
        lb_stream_watch(stream, sink->output.fd, 0);
    return 0;
}

/* Pipes and terminals must not block a worker. O_NONBLOCK belongs to the open file description,
 * which is shared with whoever started us, and who would be surprised by EAGAIN; so make an own one
 * of the same pipe. Where that is not allowed (no /proc, another user's terminal) write with care.
 */
static void stop_blocking(struct stdout_context *sink)
{
    char path[sizeof("/proc/self/fd/") + 11];
    struct stat status;
    int fd;

    if (sink->output.is_socket || fstat(sink->output.fd, &status) < 0)
        return;
    if (!S_ISFIFO(status.st_mode) && !isatty(sink->output.fd))
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", sink->output.fd);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        sink->may_block = true;
        return;
    }
    sink->output.fd = fd;
    sink->reopened = true;
}

static int stdout_setup(void **context, const char *argument, const struct lb_sink_options *options,
                        struct lb_error *error)
{
    struct stdout_context *sink = calloc(1, sizeof(*sink));
    int rc;

    (void)argument;
    if (!sink)
        return lb_error_set(error, -ENOMEM, "stdout: out of memory");
    rc = lb_output_init(&sink->output, "stdout", options, error);
    if (rc < 0) {
        free(sink);
        return rc;
    }
    stop_blocking(sink);
    *context = sink;
    return 0;
}

static void stdout_teardown(void *context)
{
    struct stdout_context *sink = context;

    if (sink->reopened)
        close(sink->output.fd);
    free(sink);
}

const struct lb_builtin lb_sink_stdout = {
    .sink =
        {
            LB_SINK_INIT,
            .name = "stdout",
            .state_size = sizeof(struct stdout_state),
            .flags = LB_SINK_SERIAL | LB_SINK_MAY_PAUSE,
            .needs = LB_NEEDS_OUTPUT,
            .write = stdout_write,
            .target = stdout_target,
            .end = stdout_end,
        },
    .help = "as it comes, one stream at a time, the others wait",
    .setup = stdout_setup,
    .teardown = stdout_teardown,
};
