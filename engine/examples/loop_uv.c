/* SPDX-License-Identifier: MIT */
/*
 * An engine in a libuv loop: it is one more descriptor that libuv polls.
 *
 *     loop_uv ADDRESS
 *
 * Shows: lb_engine_fd and lb_engine_turn with uv_poll, beside a timer of libuv's own; the engine
 * ends after SIGTERM.
 */
#include <lastbyte/lastbyte.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)data;
    *(unsigned long long *)context += size; /* one thread: no lock */
    return (ssize_t)size;
}

static void turn(uv_poll_t *poll, int status, int events)
{
    struct lb_engine *engine = poll->data;

    (void)status;
    (void)events;
    if (lb_engine_turn(engine, 0) <= 0)
        uv_stop(poll->loop);
}

static void stop(uv_signal_t *signal, int number)
{
    (void)number;
    lb_engine_stop(signal->data);
}

static void tick(uv_timer_t *timer)
{
    ++*(unsigned *)timer->data;
}

int main(int argc, char **argv)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "count", .write = take};
    const char *listen[] = {argc > 1 ? argv[1] : ":1090", NULL};
    unsigned long long bytes = 0;
    unsigned ticks = 0;
    struct lb_config config;
    struct lb_engine *engine;
    struct lb_error error = {LB_ERROR_INIT};
    uv_loop_t loop;
    uv_poll_t poll = {0};
    uv_signal_t signal = {0};
    uv_timer_t timer = {0};

    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.sink_context = &bytes;
    config.workers = LB_NO_THREADS;
    if (lb_engine_open(&engine, &config, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    uv_loop_init(&loop);
    uv_poll_init(&loop, &poll, lb_engine_fd(engine));
    uv_signal_init(&loop, &signal);
    uv_timer_init(&loop, &timer);
    poll.data = signal.data = engine;
    timer.data = &ticks;
    uv_poll_start(&poll, UV_READABLE, turn);
    uv_signal_start(&signal, stop, SIGTERM);
    uv_timer_start(&timer, tick, 1, 1);
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (lb_engine_start(engine) == 0)
        uv_run(&loop, UV_RUN_DEFAULT);

    uv_close((uv_handle_t *)&poll, NULL);
    uv_close((uv_handle_t *)&signal, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    printf("%llu bytes, and the timer ticked: %s\n", bytes, ticks > 0 ? "yes" : "no");
    return lb_engine_close(engine);
}
