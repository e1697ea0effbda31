/* SPDX-License-Identifier: MIT */
/* What an engine tells a program of, as data (lb_config.event). */
#include "suite.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The last event of each type, and how many there were. The latter is set last. */
static struct {
    struct lb_engine_event last[LB_ENGINE_EVENT_COUNT];
    char peer[LB_ENGINE_EVENT_COUNT][LB_PEER_SIZE];
    char reason[LB_ENGINE_EVENT_COUNT][40];
    atomic_uint count[LB_ENGINE_EVENT_COUNT];
    atomic_bool at_once; /* two calls were under way */
    atomic_flag busy;
} told;

static void take_event(void *context, const struct lb_engine_event *event)
{
    unsigned type = event->type;

    (void)context;
    if (atomic_flag_test_and_set(&told.busy) || type >= LB_ENGINE_EVENT_COUNT)
        atomic_store(&told.at_once, true);
    told.last[type] = *event;
    snprintf(told.peer[type], sizeof(told.peer[type]), "%s", event->peer ? event->peer : "none");
    snprintf(told.reason[type], sizeof(told.reason[type]), "%s",
             event->reason ? event->reason : "none");
    atomic_flag_clear(&told.busy);
    atomic_fetch_add(&told.count[type], 1);
}

static void listen_to(struct server *server)
{
    memset(&told, 0, sizeof(told));
    server->config.event = take_event;
    server->config.event_context = server;
}

static const struct lb_engine_event *await_event(struct server *server,
                                                 enum lb_engine_event_type type, unsigned count)
{
    AWAIT(server, atomic_load(&told.count[type]) >= count);
    CHECK_SAME(server, told.last[type].size, sizeof(struct lb_engine_event));
    CHECK_SAME(server, told.last[type].type, type);
    CHECK(server, told.last[type].begin_ns <= told.last[type].end_ns);
    return &told.last[type];
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void finish(struct server *server)
{
    server_finish(server);
    CHECK(server, !told.at_once);
}

static void of_a_stream(void **state)
{
    struct server *server = *state;
    uint64_t before_ns = now_ns();
    const struct lb_engine_event *event;
    char name[LB_PEER_SIZE];
    int fd;

    listen_to(server);
    server_begin(server, 1);
    await_event(server, LB_ENGINE_LISTENING, 1);
    CHECK(server, strcmp(told.peer[LB_ENGINE_LISTENING], server->address) == 0);
    fd = server_connect(server);
    CHECK_OK(server, peer_name(fd, name, sizeof(name)));
    CHECK_OK(server, peer_finish(fd, "12345", 5));
    event = await_event(server, LB_ENGINE_ENDED, 1);
    CHECK_SAME(server, event->id, 1);
    CHECK_SAME(server, event->end, LB_END_EOF);
    CHECK_SAME(server, event->error, 0);
    CHECK_SAME(server, event->bytes, 5);
    CHECK(server, strcmp(told.peer[LB_ENGINE_ENDED], name) == 0);
    CHECK(server, strcmp(told.reason[LB_ENGINE_ENDED], "none") == 0);
    CHECK(server, event->begin_ns >= before_ns && event->end_ns <= now_ns());
    finish(server);
    CHECK_SAME(server, told.count[LB_ENGINE_LISTENING], 1);
    CHECK_SAME(server, told.count[LB_ENGINE_REFUSED] + told.count[LB_ENGINE_ACCEPT_PAUSED], 0);
}

static int fail_at_end(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)entry;
    (void)stream;
    (void)end;
    return -ENOSPC;
}

static void of_a_limit_and_a_sink(void **state)
{
    struct server *server = *state;
    const struct lb_engine_event *event;
    int fd;

    listen_to(server);
    server->config.max_bytes = 4;
    server->ledger.hooks.end = fail_at_end;
    server_begin(server, 2);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "12345", 5));
    event = await_event(server, LB_ENGINE_ENDED, 1);
    CHECK_SAME(server, event->end, LB_END_LIMIT);
    CHECK_SAME(server, event->bytes, 4);
    CHECK(server, strcmp(told.reason[LB_ENGINE_ENDED], "max-bytes") == 0);
    close(fd);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "123", 3));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    event = await_event(server, LB_ENGINE_ENDED, 2);
    CHECK_SAME(server, event->end, LB_END_SINK);
    CHECK_SAME(server, -event->error, ENOSPC);
    CHECK_SAME(server, event->id, 2);
    close(fd);
    finish(server);
}

static void of_a_refusal(void **state)
{
    struct server *server = *state;
    const struct lb_engine_event *event;
    int first, second;

    listen_to(server);
    server->config.workers = 2;
    server->config.max_streams_per_peer = 1;
    server_begin(server, 1);
    first = server_connect(server);
    AWAIT(server, atomic_load(&server->ledger.opened) == 1);
    second = peer_connect(server->address);
    event = await_event(server, LB_ENGINE_REFUSED, 1);
    CHECK_SAME(server, event->end, LB_END_LIMIT);
    CHECK_SAME(server, event->id, 2);
    CHECK(server, strcmp(told.reason[LB_ENGINE_REFUSED], "per-peer") == 0);
    close(first);
    if (second >= 0)
        close(second);
    finish(server);
}

/* No descriptor is left for the one that waits in the backlog. */
static void of_a_pause(void **state)
{
    struct server *server = *state;
    struct rlimit before, now;
    int fd;

    listen_to(server);
    server_open(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "12345", 5));
    CHECK_SAME(server, getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = (rlim_t)dup(fd);
    CHECK_SAME(server, close((int)now.rlim_cur), 0);
    CHECK_SAME(server, setrlimit(RLIMIT_NOFILE, &now), 0);
    server_start(server);
    CHECK_SAME(server, -await_event(server, LB_ENGINE_ACCEPT_PAUSED, 1)->error, EMFILE);
    CHECK_SAME(server, setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    await_event(server, LB_ENGINE_ENDED, 1);
    finish(server);
}

const struct test_case events_cases[] = {
    {"events_of_a_stream", of_a_stream, FAMILY_ANY, 0},
    {"events_of_a_limit_and_a_sink", of_a_limit_and_a_sink, FAMILY_ANY, 0},
    {"events_of_a_refusal", of_a_refusal, FAMILY_ANY, 0},
    {"events_of_a_pause", of_a_pause, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
