/* SPDX-License-Identifier: MIT */
/*
 * An engine in a program's own epoll loop: no thread is made, and what else the program waits for
 * stands beside it.
 *
 *     loop ADDRESS
 *
 * Shows: workers = LB_NO_THREADS, lb_engine_fd, lb_engine_turn. What comes on standard input is
 * told to every stream by the next line (no lock is needed: it is all one thread); "stop" ends the
 * engine.
 */
#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static char news[200] = "nothing yet\n";

/* Each line that a peer sends is answered by the latest news. */
static ssize_t answer(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)context;
    if (memchr(data, '\n', size))
        lb_stream_say(stream, news, strlen(news));
    return (ssize_t)size;
}

static int tell(struct lb_stream *stream, void *context, enum lb_end end)
{
    (void)context;
    printf("stream %llu: %llu bytes, %s\n", (unsigned long long)lb_stream_id(stream),
           (unsigned long long)lb_stream_bytes(stream), lb_end_name(end));
    fflush(stdout);
    return 0;
}

static void read_news(struct lb_engine *engine)
{
    char line[sizeof(news)];
    ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1);

    if (got <= 0 || strncmp(line, "stop\n", 5) == 0) {
        lb_engine_stop(engine);
        return;
    }
    line[got] = '\0';
    memcpy(news, line, sizeof(news));
    printf("told\n");
    fflush(stdout);
}

static void watch(int loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

static void run(struct lb_engine *engine)
{
    int loop = epoll_create1(EPOLL_CLOEXEC), running = 1;

    watch(loop, lb_engine_fd(engine));
    watch(loop, STDIN_FILENO);
    while (running > 0) {
        struct epoll_event event;

        if (epoll_wait(loop, &event, 1, -1) < 1) /* EINTR is nothing */
            continue;
        if (event.data.fd == STDIN_FILENO)
            read_news(engine);
        else
            running = lb_engine_turn(engine, 0);
    }
    close(loop);
}

int main(int argc, char **argv)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "news", .write = answer, .end = tell};
    const char *listen[] = {argc > 1 ? argv[1] : ":1090", NULL};
    struct lb_config config;
    struct lb_engine *engine;
    struct lb_error error = {LB_ERROR_INIT};

    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.workers = LB_NO_THREADS;
    if (lb_engine_open(&engine, &config, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (lb_engine_start(engine) == 0)
        run(engine);
    return lb_engine_close(engine);
}
