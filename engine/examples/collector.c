/* SPDX-License-Identifier: MIT */
/*
 * A log collector: the lines of many peers in one file, each whole and with its peer in front.
 *
 *     collector ADDRESS FILE
 *
 * Shows: state of each stream (a line that has begun), what a worker's streams share without a lock
 * (worker_open: a buffer, so that many lines are one write), an end that looks after what is left,
 * and a stop by SIGTERM. Writing to a file in write is allowed: it goes into the page cache.
 */
#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX = 1000, BUFFER = 64 << 10 };

struct line {
    char peer[LB_PEER_SIZE];
    char text[LINE_MAX]; /* longer ones are cut into several */
    size_t size;
};

/* A worker's. O_APPEND: what one write has is in one piece, whoever else writes. */
struct buffer {
    char text[BUFFER];
    size_t size;
};

static int open_worker(void *context, unsigned worker, void **state)
{
    (void)context;
    (void)worker;
    *state = calloc(1, sizeof(struct buffer));
    return *state ? 0 : -ENOMEM;
}

static void close_worker(void *context, void *state)
{
    (void)context;
    free(state);
}

static int flush(int file, struct buffer *buffer)
{
    ssize_t put = write(file, buffer->text, buffer->size);

    if (put != (ssize_t)buffer->size)
        return put < 0 ? -errno : -ENOSPC;
    buffer->size = 0;
    return 0;
}

static int add_line(int file, struct buffer *buffer, struct line *line)
{
    int rc = BUFFER - buffer->size < LB_PEER_SIZE + LINE_MAX + 3 ? flush(file, buffer) : 0;

    if (rc == 0)
        buffer->size += (size_t)sprintf(buffer->text + buffer->size, "%s: %.*s\n", line->peer,
                                        (int)line->size, line->text);
    line->size = 0;
    return rc;
}

static int begin(struct lb_stream *stream, void *context)
{
    struct line *line = lb_stream_state(stream);

    (void)context;
    lb_stream_peer(stream, line->peer);
    return 0;
}

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct line *line = lb_stream_state(stream);
    struct buffer *buffer = lb_stream_worker(stream);
    const char *bytes = data;
    int file = *(int *)context, rc = 0;

    for (size_t i = 0; rc == 0 && i < size; i++) {
        if (bytes[i] != '\n')
            line->text[line->size++] = bytes[i];
        if (bytes[i] == '\n' || line->size == LINE_MAX)
            rc = add_line(file, buffer, line);
    }
    if (rc == 0 && buffer->size > 0)
        rc = flush(file, buffer);
    return rc < 0 ? rc : (ssize_t)size;
}

static int end(struct lb_stream *stream, void *context, enum lb_end reason)
{
    struct line *line = lb_stream_state(stream);
    struct buffer *buffer = lb_stream_worker(stream);
    int file = *(int *)context, rc = 0;

    /* A line that its peer's death has cut is worth keeping, too. */
    if (line->size > 0)
        rc = add_line(file, buffer, line);
    if (rc == 0 && reason != LB_END_EOF) {
        line->size = (size_t)snprintf(line->text, LINE_MAX, "[%s]", lb_end_name(reason));
        rc = add_line(file, buffer, line);
    }
    return rc == 0 && buffer->size > 0 ? flush(file, buffer) : rc;
}

static struct lb_engine *engine;

static void stop(int number)
{
    (void)number;
    lb_engine_stop(engine); /* any handler may. NOLINT(bugprone-signal-handler,cert-sig30-c) */
}

int main(int argc, char **argv)
{
    static const struct lb_sink sink = {LB_SINK_INIT,
                                        .name = "collector",
                                        .state_size = sizeof(struct line),
                                        .open = begin,
                                        .write = take,
                                        .end = end,
                                        .worker_open = open_worker,
                                        .worker_close = close_worker};
    const char *listen[] = {argc > 1 ? argv[1] : ":1090", NULL};
    int file = open(argc > 2 ? argv[2] : "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};

    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.sink_context = &file;
    if (file < 0 || lb_engine_open(&engine, &config, &error) < 0) {
        fprintf(stderr, "%s\n", file < 0 ? strerror(errno) : error.text);
        return 1;
    }
    signal(SIGTERM, stop);
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (lb_engine_start(engine) == 0)
        lb_engine_wait(engine, -1);
    return lb_engine_close(engine) + close(file);
}
