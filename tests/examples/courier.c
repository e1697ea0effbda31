/* SPDX-License-Identifier: MIT */
/*
 * A sink as any program may write one: each stream goes into a pipe, one after the other and only
 * as fast as whoever reads there takes it, and its sender is told how much that was.
 *
 *     courier ADDRESS FIFO STREAMS
 */
#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What all streams share; a stream's own would be found by lb_stream_state. */
struct courier {
    int pipe; /* non-blocking */
};

/* Takes what fits. The rest is offered again once there is room; meanwhile nothing is received from
 * this peer, and the others go on. */
static ssize_t deliver(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct courier *courier = context;
    ssize_t put = write(courier->pipe, data, size);
    int rc;

    if (put == (ssize_t)size)
        return put;
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        return -errno; /* the stream ends as LB_END_SINK */
    rc = lb_stream_watch(stream, courier->pipe, POLLOUT);
    if (rc < 0)
        return rc;
    return put < 0 ? 0 : put;
}

/* Nobody here looks at the bytes, so large pieces need not come to user space. */
static int find_pipe(struct lb_stream *stream, void *context)
{
    const struct courier *courier = context;

    (void)stream;
    return courier->pipe;
}

static int tell_sender(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct courier *courier = context;
    char answer[64];

    lb_stream_watch(stream, courier->pipe, 0); /* two streams may not watch the same descriptor */
    if (end != LB_END_EOF)
        return 0;
    snprintf(answer, sizeof(answer), "delivered %llu bytes\n",
             (unsigned long long)lb_stream_bytes(stream));
    /* What it doesn't take at once is queued. A sender that has gone can't be told. */
    lb_stream_say(stream, answer, strlen(answer));
    return 0;
}

static const struct lb_sink sink = {
    LB_SINK_INIT,     .name = "courier",   .flags = LB_SINK_SERIAL | LB_SINK_MAY_PAUSE,
    .write = deliver, .target = find_pipe, .end = tell_sender,
};

/* An open file description of our own: O_NONBLOCK on one that is shared would surprise the others.
 */
static int open_pipe(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC); /* waits for a reader */

    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return fd;
    perror(path);
    exit(1);
}

int main(int argc, char **argv)
{
    const char *listen[] = {argc > 1 ? argv[1] : ":1090", NULL};
    struct courier courier;
    struct lb_config config;
    struct lb_engine *engine;
    struct lb_error error = {LB_ERROR_INIT};

    if (argc != 4) {
        fprintf(stderr, "usage: courier ADDRESS FIFO STREAMS\n");
        return 2;
    }
    courier.pipe = open_pipe(argv[2]);
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an errno for write */
    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.sink_context = &courier;
    config.count = strtoull(argv[3], NULL, 10);
    if (lb_engine_open(&engine, &config, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (lb_engine_start(engine) == 0)
        lb_engine_wait(engine, -1);
    lb_engine_close(engine);
    close(courier.pipe);
    return 0;
}
