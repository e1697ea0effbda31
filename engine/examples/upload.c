/* SPDX-License-Identifier: MIT */
/*
 * An upload receiver that answers: a peer says "NAME SIZE\n", sends so many bytes, and is told what
 * has become of them, while its connection is open still.
 *
 *     upload ADDRESS DIRECTORY
 *
 * Shows: a protocol that knows its end before the connection does (lb_stream_finish), refusals with
 * a text (lb_stream_refuse), answers (lb_stream_say), and a slow end for the fsync: that is said to
 * be done only once it is, so by a receipt.
 */
#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct upload {
    char head[100]; /* the first line, as far as it has come */
    size_t head_size;
    unsigned long long left;
    int file; /* 0: none yet */
};

/* Nothing of a peer's may lead out of the directory. */
static int open_file(int directory, struct upload *upload)
{
    char name[sizeof(upload->head)];

    if (sscanf(upload->head, "%99[a-z0-9] %llu", name, &upload->left) != 2)
        return -EINVAL;
    upload->file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return upload->file < 0 ? -errno : 0;
}

/* Returns how many bytes belong to the first line, or -errno. */
static ssize_t take_head(struct lb_stream *stream, int directory, const char *data, size_t size)
{
    struct upload *upload = lb_stream_state(stream);
    const char *newline = memchr(data, '\n', size);
    size_t part = newline ? (size_t)(newline + 1 - data) : size;
    int rc;

    if (upload->head_size + part >= sizeof(upload->head))
        return lb_stream_refuse(stream, "error: the first line is too long\n");
    memcpy(upload->head + upload->head_size, data, part);
    upload->head_size += part;
    if (!newline)
        return (ssize_t)part;
    rc = open_file(directory, upload);
    if (rc == -EINVAL)
        return lb_stream_refuse(stream, "error: say NAME SIZE\n");
    if (rc < 0)
        return lb_stream_refuse(stream, "error: there is one of that name\n");
    lb_stream_say(stream, "go on\n", 6);
    return (ssize_t)part;
}

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct upload *upload = lb_stream_state(stream);
    const char *bytes = data;
    ssize_t head = 0;
    size_t body;

    if (!upload->file)
        head = take_head(stream, *(int *)context, bytes, size);
    if (head < 0 || !upload->file)
        return head;
    body = size - (size_t)head;
    if (body > upload->left)
        body = (size_t)upload->left;
    if (write(upload->file, bytes + head, body) != (ssize_t)body)
        return lb_stream_refuse(stream, "error: the disk is full\n");
    upload->left -= body;
    /* Whatever the peer sends behind that is dropped: this stream is complete. */
    if (upload->left == 0)
        lb_stream_finish(stream);
    return head + (ssize_t)body;
}

/* On a thread where it may block. What it returns 0 for the peer is told to be safe. */
static int end(struct lb_stream *stream, void *context, enum lb_end reason)
{
    const struct upload *upload = lb_stream_state(stream);
    char name[sizeof(upload->head)];
    int rc = 0;

    if (upload->file <= 0)
        return -EINVAL;
    if (reason == LB_END_EOF && upload->left == 0)
        rc = fsync(upload->file) < 0 ? -errno : 0;
    else if (sscanf(upload->head, "%99[a-z0-9]", name) == 1)
        rc = unlinkat(*(int *)context, name, 0) < 0 ? -errno : -ENODATA;
    close(upload->file);
    return rc;
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
                                        .name = "upload",
                                        .state_size = sizeof(struct upload),
                                        .flags = LB_SINK_SLOW_END,
                                        .descriptors = 1,
                                        .write = take,
                                        .end = end};
    const char *listen[] = {argc > 1 ? argv[1] : ":1090", NULL};
    int directory = open(argc > 2 ? argv[2] : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};

    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.sink_context = &directory;
    config.receipt = "sha256";
    config.idle_timeout_ms = 10000;
    if (directory < 0 || lb_engine_open(&engine, &config, &error) < 0) {
        fprintf(stderr, "%s\n", directory < 0 ? strerror(errno) : error.text);
        return 1;
    }
    signal(SIGTERM, stop);
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (lb_engine_start(engine) == 0)
        lb_engine_wait(engine, -1);
    return lb_engine_close(engine) + close(directory);
}
