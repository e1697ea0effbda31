/* SPDX-License-Identifier: MIT */
/* What an engine tells a program of, as data (lb_config.event). */
#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct heard {
    struct lb_engine_event event;
    char peer[LB_PEER_SIZE], reason[40];
};

/* The last event of each type, and how many there were. */
static struct {
    pthread_mutex_t lock;
    struct heard last[LB_ENGINE_EVENT_COUNT];
    unsigned count[LB_ENGINE_EVENT_COUNT];
    bool busy, at_once; /* two calls were under way */
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Returns whether there was another one before. */
static bool set_busy(bool busy)
{
    bool before;

    pthread_mutex_lock(&told.lock);
    before = told.busy;
    told.busy = busy;
    pthread_mutex_unlock(&told.lock);
    return before;
}

static void take_event(void *context, const struct lb_engine_event *event)
{
    bool at_once = set_busy(true);
    struct heard heard = {.event = *event};

    (void)context;
    snprintf(heard.peer, sizeof(heard.peer), "%s", event->peer ? event->peer : "none");
    snprintf(heard.reason, sizeof(heard.reason), "%s", event->reason ? event->reason : "none");
    pthread_mutex_lock(&told.lock);
    told.at_once |= at_once;
    if ((unsigned)event->type < LB_ENGINE_EVENT_COUNT) {
        told.last[event->type] = heard;
        told.count[event->type]++;
    }
    pthread_mutex_unlock(&told.lock);
    set_busy(false);
}

static unsigned count_of(enum lb_engine_event_type type)
{
    unsigned count;

    pthread_mutex_lock(&told.lock);
    count = told.count[type];
    pthread_mutex_unlock(&told.lock);
    return count;
}

static void listen_to(struct server *server)
{
    memset(told.last, 0, sizeof(told.last));
    memset(told.count, 0, sizeof(told.count));
    told.at_once = false;
    server->config.event = take_event;
    server->config.event_context = server;
}

static struct heard await_event(struct server *server, enum lb_engine_event_type type,
                                unsigned count)
{
    struct heard heard;

    AWAIT(server, count_of(type) >= count);
    pthread_mutex_lock(&told.lock);
    heard = told.last[type];
    pthread_mutex_unlock(&told.lock);
    CHECK_SAME(server, heard.event.size, sizeof(struct lb_engine_event));
    CHECK_SAME(server, heard.event.type, type);
    CHECK(server, heard.event.begin_ns <= heard.event.end_ns);
    return heard;
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
    struct heard heard;
    char name[LB_PEER_SIZE];
    int fd;

    listen_to(server);
    server_begin(server, 1);
    heard = await_event(server, LB_ENGINE_LISTENING, 1);
    CHECK(server, strcmp(heard.peer, server->address) == 0);
    fd = server_connect(server);
    CHECK_OK(server, peer_name(fd, name, sizeof(name)));
    CHECK_OK(server, peer_finish(fd, "12345", 5));
    heard = await_event(server, LB_ENGINE_ENDED, 1);
    CHECK_SAME(server, heard.event.id, 1);
    CHECK_SAME(server, heard.event.end, LB_END_EOF);
    CHECK_SAME(server, heard.event.error, 0);
    CHECK_SAME(server, heard.event.bytes, 5);
    CHECK(server, strcmp(heard.peer, name) == 0);
    CHECK(server, strcmp(heard.reason, "none") == 0);
    CHECK(server, heard.event.begin_ns >= before_ns && heard.event.end_ns <= now_ns());
    finish(server);
    CHECK_SAME(server, count_of(LB_ENGINE_LISTENING), 1);
    CHECK_SAME(server, count_of(LB_ENGINE_REFUSED) + count_of(LB_ENGINE_ACCEPT_PAUSED), 0);
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
    struct heard heard;
    int fd;

    listen_to(server);
    server->config.max_bytes = 4;
    server->ledger.hooks.end = fail_at_end;
    server_begin(server, 2);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "12345", 5));
    heard = await_event(server, LB_ENGINE_ENDED, 1);
    CHECK_SAME(server, heard.event.end, LB_END_LIMIT);
    CHECK_SAME(server, heard.event.bytes, 4);
    CHECK(server, strcmp(heard.reason, "max-bytes") == 0);
    close(fd);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "123", 3));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    heard = await_event(server, LB_ENGINE_ENDED, 2);
    CHECK_SAME(server, heard.event.end, LB_END_SINK);
    CHECK_SAME(server, -heard.event.error, ENOSPC);
    CHECK_SAME(server, heard.event.id, 2);
    close(fd);
    finish(server);
}

static void of_a_refusal(void **state)
{
    struct server *server = *state;
    struct heard heard;
    int first, second;

    listen_to(server);
    server->config.workers = 2;
    server->config.max_streams_per_peer = 1;
    server_begin(server, 1);
    first = server_connect(server);
    AWAIT(server, atomic_load(&server->ledger.opened) == 1);
    second = peer_connect(server->address);
    heard = await_event(server, LB_ENGINE_REFUSED, 1);
    CHECK_SAME(server, heard.event.end, LB_END_LIMIT);
    CHECK_SAME(server, heard.event.id, 2);
    CHECK(server, strcmp(heard.reason, "per-peer") == 0);
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
    CHECK_SAME(server, -await_event(server, LB_ENGINE_ACCEPT_PAUSED, 1).event.error, EMFILE);
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
