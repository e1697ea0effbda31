/* SPDX-License-Identifier: MIT */
/* No processor time while nothing can happen: servers in every state at once, each of which has
 * nothing to do. Two stops end each. Family 17 of the table of faults. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCENES_MAX = 16, PEERS_MAX = 6, NEVER_MS = 600000, LOOK_MS = 1000, LOOKS = 4 };

/* A server in a state, and its peers. */
struct scene {
    struct server server;
    int peers[PEERS_MAX];
    unsigned peer_count;
    double cpu_seconds; /* that it had used when it was looked at last */
};

static struct scene *scenes[SCENES_MAX];
static unsigned scene_count;

static struct scene *begin_scene(const char *name)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    assert_non_null(scene);
    assert_true(scene_count < SCENES_MAX);
    assert_int_equal(server_init(&scene->server, name), 0);
    scenes[scene_count++] = scene;
    scene->server.config.workers = suite_is_blocking() ? 3 : 1;
    if (!suite_is_tcp())
        snprintf(scene->server.path, sizeof(scene->server.path), "unix:%s/%u", suite.directory,
                 scene_count);
    return scene;
}

/* A peer of which the first bytes have come. */
static void begin_peer(struct scene *scene, int fd)
{
    uint64_t tag = ++scene->peer_count;

    scene->peers[tag - 1] = fd;
    CHECK_OK(&scene->server, peer_send_payload(fd, tag, 0, PAYLOAD_TAG_SIZE, PAYLOAD_TAG_SIZE));
}

static int join_scene(struct scene *scene)
{
    int fd = server_connect(&scene->server);

    begin_peer(scene, fd);
    return fd;
}

static void half_close(struct scene *scene, int fd)
{
    CHECK_SAME(&scene->server, shutdown(fd, SHUT_WR), 0);
}

/* Sends until nothing more is taken for a while. */
static void push(int fd)
{
    static const uint8_t zeros[65536];

    for (int quiet = 0; quiet < 20; quiet++) {
        time_nap();
        while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            quiet = 0;
    }
}

/* ---- sinks ----------------------------------------------------------------------------------- */

static ssize_t echo(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                    size_t size)
{
    ssize_t said = lb_stream_say(stream, data, size);

    (void)entry;
    return said == -EAGAIN ? 0 : said;
}

static const uint8_t zeros_to_say[65536];

static ssize_t say_much(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                        size_t size)
{
    (void)entry;
    (void)data;
    while (lb_stream_say(stream, zeros_to_say, sizeof(zeros_to_say)) > 0)
        ;
    return (ssize_t)size;
}

static int go_on_saying(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)entry;
    if (end != LB_END_EOF)
        return 0;
    while (lb_stream_say(stream, zeros_to_say, sizeof(zeros_to_say)) > 0)
        ;
    return -EINPROGRESS;
}

static ssize_t take_the_tag(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                            size_t size)
{
    int error;

    (void)data;
    (void)size;
    if (lb_stream_bytes(stream) == 0)
        return PAYLOAD_TAG_SIZE;
    error = ledger_watch_gate(entry, stream); /* stays closed */
    return error ? error : 0;
}

static ssize_t take_none(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                         size_t size)
{
    (void)entry;
    (void)stream;
    (void)data;
    (void)size;
    return -EIO;
}

static int block_until_gate(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    gate_wait(&entry->ledger->gate);
    return 0;
}

/* ---- states ---------------------------------------------------------------------------------- */

/* It is looked at for its limits, as seldom as they allow. */
static void silent(void)
{
    struct scene *scene = begin_scene("silent");

    scene->server.config.idle_timeout_ms = NEVER_MS;
    scene->server.config.max_time_ms = NEVER_MS;
    server_begin(&scene->server, 1);
    join_scene(scene);
    server_await_tag(&scene->server, 1);
}

static void echo_unread(void)
{
    struct scene *scene = begin_scene("an echo that is not read, of one who sends on");

    scene->server.sink.flags = LB_SINK_MAY_PAUSE;
    scene->server.ledger.hooks.write = echo;
    server_begin(&scene->server, 1);
    push(join_scene(scene));
}

static void answer_unread(void)
{
    struct scene *scene = begin_scene("an answer unread, with more to come");

    scene->server.ledger.hooks.end = go_on_saying;
    server_begin(&scene->server, 1);
    half_close(scene, join_scene(scene));
    AWAIT(&scene->server, atomic_load(&server_await_tag(&scene->server, 1)->end_calls) > 0);
}

static void receipt_unread(void)
{
    struct scene *scene = begin_scene("a receipt unread");

    scene->server.config.receipt = "xxh3";
    scene->server.ledger.hooks.write = say_much;
    server_begin(&scene->server, 1);
    half_close(scene, join_scene(scene));
    server_await_ends(&scene->server, 1);
}

static void paused(bool half_closed)
{
    struct scene *scene = begin_scene(half_closed ? "paused, half-closed" : "paused");

    scene->server.sink.flags = LB_SINK_MAY_PAUSE;
    scene->server.ledger.hooks.write = take_the_tag;
    server_begin(&scene->server, 1);
    push(join_scene(scene));
    if (half_closed)
        half_close(scene, scene->peers[0]);
}

static void throttled(bool by_total)
{
    struct scene *scene = begin_scene(by_total ? "throttled by a total" : "throttled");

    /* What has come is paid for in a minute. */
    scene->server.config.slot_size = 64 << 10;
    scene->server.config.rate_limit = by_total ? 0 : 1024;
    scene->server.config.total_rate_limit = by_total ? 1024 : 0;
    scene->server.config.min_rate = 1;
    server_begin(&scene->server, 2);
    push(join_scene(scene));
    push(join_scene(scene));
}

static void ending(void)
{
    struct scene *scene = begin_scene("an end in progress");

    scene->server.ledger.hooks.end = ledger_end_never;
    server_begin(&scene->server, 1);
    half_close(scene, join_scene(scene));
    AWAIT(&scene->server, atomic_load(&server_await_tag(&scene->server, 1)->end_calls) > 0);
}

static void committing(void)
{
    struct scene *scene = begin_scene("an end that blocks");

    scene->server.sink.flags = LB_SINK_SLOW_END;
    scene->server.ledger.hooks.end = block_until_gate;
    server_begin(&scene->server, 1);
    half_close(scene, join_scene(scene));
    AWAIT(&scene->server, atomic_load(&server_await_tag(&scene->server, 1)->end_calls) > 0);
}

static void draining_the_peer(void)
{
    struct scene *scene = begin_scene("failed, and its peer stays");

    scene->server.config.receipt = "xxh3";
    scene->server.ledger.hooks.write = take_none;
    server_begin(&scene->server, 1);
    join_scene(scene);
    server_await_ends(&scene->server, 1);
}

static void at_the_stream_limit(bool stopped)
{
    struct scene *scene = begin_scene(stopped ? "stopped, others wait" : "others wait");

    scene->server.config.max_streams = 1;
    scene->server.config.drain_ms = NEVER_MS;
    server_begin(&scene->server, PEERS_MAX);
    join_scene(scene);
    server_await_tag(&scene->server, 1);
    while (scene->peer_count < PEERS_MAX)
        join_scene(scene);
    if (stopped)
        lb_engine_stop(scene->server.engine);
}

/* No descriptor is left in this process, and all workers find that there is a peer. */
static void accepting_fails(struct rlimit *before)
{
    struct scene *scene = begin_scene("accepting fails for ever");
    struct rlimit few;

    scene->server.config.workers = suite_is_blocking() ? 128 : 2;
    server_open(&scene->server, 1);
    begin_peer(scene, server_connect(&scene->server));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    few = *before;
    few.rlim_cur = (rlim_t)dup(STDERR_FILENO);
    close((int)few.rlim_cur);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    server_start(&scene->server);
}

/* ---- looking --------------------------------------------------------------------------------- */

static double used(struct scene *scene)
{
    double before = scene->cpu_seconds;

    scene->cpu_seconds = server_stats(&scene->server).cpu_seconds;
    return scene->cpu_seconds - before;
}

/* The first look also sees how each came into its state. Returns one that is busy, or NULL. */
static struct scene *find_busy(struct scene *any)
{
    uint64_t begin = time_now_ns();
    struct scene *busy = NULL;

    (void)lb_engine_wait(any->server.engine, LOOK_MS);
    for (unsigned i = 0; i < scene_count; i++)
        if (used(scenes[i]) > (double)(time_now_ns() - begin) / 1e9 * 0.02)
            busy = scenes[i];
    return busy;
}

static void end_scene(struct scene *scene)
{
    struct server *server = &scene->server;

    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    gate_open(&server->ledger.gate); /* which an end that blocks alone waits for */
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_close(server);
    for (unsigned i = 0; i < scene->peer_count; i++)
        close(scene->peers[i]);
    ledger_done(&server->ledger);
    free(scene);
}

static void nothing_to_do(void **state)
{
    struct server *server = *state;
    struct scene *busy;
    struct rlimit limit;

    scene_count = 0;
    silent();
    echo_unread();
    answer_unread();
    receipt_unread();
    paused(false);
    paused(true);
    throttled(false);
    throttled(true);
    ending();
    committing();
    at_the_stream_limit(false);
    at_the_stream_limit(true);
    draining_the_peer();
    accepting_fails(&limit);
    busy = find_busy(scenes[0]);
    for (int look = 1; look < LOOKS && busy; look++)
        busy = find_busy(scenes[0]);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (busy)
        server_give_up(&busy->server, __FILE__, __LINE__, "busy with nothing");
    for (unsigned i = 0; i < scene_count; i++)
        end_scene(scenes[i]);
    CHECK_SAME(server, process_count_fds(), server->fds);
    printf("fault 17 %s %s: %u cases\n", suite.backend, suite_is_tcp() ? "tcp" : "unix",
           scene_count);
}

const struct test_case idle_cases[] = {
    {"nothing_to_do_costs_nothing", nothing_to_do, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
