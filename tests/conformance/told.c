/* SPDX-License-Identifier: MIT */
/* What an engine tells of itself while it runs, besides its statistics, which are looked at after
 * each case. */
#include "suite.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 100000 };

/* Sends a payload and waits for its stream's end, whatever that is. */
static void be_served(struct server *server, uint64_t tag, uint64_t size)
{
    struct ledger_entry *entry;
    int fd = server_connect(server);

    (void)peer_send_payload(fd, tag, 0, size, size);
    shutdown(fd, SHUT_WR);
    entry = server_await_tag(server, tag);
    AWAIT(server, atomic_load(&entry->phase) == LEDGER_ENDED);
    (void)peer_await_eof(fd);
    close(fd);
}

struct question {
    const char *reason;
    enum lb_end end;
    bool refused;
    uint64_t count;
};

static void look_for(void *context, const struct lb_outcome *outcome)
{
    struct question *question = context;

    if (outcome->end == question->end && strcmp(outcome->reason, question->reason) == 0 &&
        outcome->refused == question->refused)
        question->count += outcome->count;
}

static uint64_t count_of(struct server *server, enum lb_end end, const char *reason, bool refused)
{
    struct question question = {.end = end, .reason = reason, .refused = refused};

    CHECK_OK(server, lb_engine_outcomes(server->engine, look_for, &question));
    return question.count;
}

static int fail_odd_ones(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    return entry->tag % 2 == 1 ? -ENOSPC : 0;
}

static void reasons(void **state)
{
    struct server *server = *state;

    server->config.max_bytes = SIZE;
    server->ledger.hooks.end = fail_odd_ones;
    server_begin(server, 4);
    be_served(server, 1, 1000);
    be_served(server, 2, 1000);
    be_served(server, 3, 1000);
    be_served(server, 4, SIZE + 1);
    AWAIT(server, server_stats(server).streams == 4);
    CHECK_SAME(server, count_of(server, LB_END_EOF, "", false), 1);
    CHECK_SAME(server, count_of(server, LB_END_LIMIT, "max-bytes", false), 1);
    CHECK_SAME(server, count_of(server, LB_END_SINK, "ENOSPC", false), 2);
    server_finish(server);
}

static void refusals(void **state)
{
    struct server *server = *state;
    int first, second;

    if (suite_is_blocking()) /* the second waits until a worker has time for it */
        server->config.workers = 2;
    server->config.max_streams_per_peer = 1;
    server_begin(server, 1);
    CHECK_SAME(server, count_of(server, LB_END_LIMIT, "per-peer", true), 0);
    first = server_connect(server);
    CHECK_OK(server, peer_send_payload(first, 1, 0, 1000, 1000));
    server_await_tag(server, 1);
    second = peer_connect(server->address);
    AWAIT(server, count_of(server, LB_END_LIMIT, "per-peer", true) == 1);
    CHECK_SAME(server, count_of(server, LB_END_LIMIT, "per-peer", false), 0);
    close(first);
    if (second >= 0)
        close(second);
    server_finish(server);
}

/* ---- durations ------------------------------------------------------------------------------- */

enum { SLOW_MS = 30 };

static int take_time(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)entry;
    (void)stream;
    (void)end;
    usleep(SLOW_MS * 1000);
    return 0;
}

static uint64_t count_slow(const struct lb_timing *timing)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= timing->limit_count; i++)
        if (i == timing->limit_count || timing->limits[i] > SLOW_MS / 1e3)
            count += timing->counts[i];
    return count;
}

static void check_slow_ends(struct server *server, uint64_t count)
{
    struct lb_timing timing = {LB_TIMING_INIT};

    server_begin(server, 2);
    be_served(server, 1, SIZE);
    be_served(server, 2, SIZE);
    AWAIT(server, server_stats(server).streams == 2);
    CHECK_OK(server, lb_engine_timing(server->engine, 0, &timing));
    CHECK(server, strcmp(timing.name, "end") == 0);
    CHECK_SAME(server, count_slow(&timing), count);
    CHECK(server, timing.sum_seconds >= (double)count * SLOW_MS / 1e3);
    CHECK(server, count > 0 || timing.sum_seconds == 0);
    CHECK_SAME(server, lb_engine_timing(server->engine, 1, &timing), -ENOENT);
    server_finish(server);
}

static void slow_ends_are_counted(void **state)
{
    struct server *server = *state;

    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = take_time;
    check_slow_ends(server, 2);
}

/* Nobody waits for them. */
static void quick_ends_are_not(void **state)
{
    check_slow_ends(*state, 0);
}

static bool tell(void *context, size_t index, struct lb_timing *timing)
{
    static const double limits[] = {1};

    (void)context;
    if (index > 1)
        return false;
    timing->name = index == 0 ? "first" : "second";
    timing->limits = limits;
    timing->limit_count = 1;
    timing->counts[1] = 10 + index;
    return true;
}

static void a_sink_has_durations_of_its_own(void **state)
{
    struct server *server = *state;
    struct lb_timing timing = {LB_TIMING_INIT};

    server->sink.timing = tell;
    server_begin(server, 1);
    CHECK_OK(server, lb_engine_timing(server->engine, 1, &timing));
    CHECK(server, strcmp(timing.name, "first") == 0);
    CHECK_OK(server, lb_engine_timing(server->engine, 2, &timing));
    CHECK(server, strcmp(timing.name, "second") == 0);
    CHECK_SAME(server, timing.counts[0], 0);
    CHECK_SAME(server, timing.counts[1], 11);
    CHECK_SAME(server, timing.size, sizeof(timing));
    CHECK_SAME(server, lb_engine_timing(server->engine, 3, &timing), -ENOENT);
    server_finish(server);
}

/* ---- while all goes on ----------------------------------------------------------------------- */

struct onlooker {
    struct server *server;
    pthread_t thread;
    atomic_bool over;
    atomic_uint looks;
    bool shrunk; /* a count that only grows */
};

static void *look(void *context)
{
    struct onlooker *onlooker = context;
    const struct lb_engine *engine = onlooker->server->engine;
    struct lb_stats before = {LB_STATS_INIT};

    while (!atomic_load(&onlooker->over)) {
        struct lb_stats now = {LB_STATS_INIT};
        struct lb_worker_stats worker = {LB_WORKER_STATS_INIT};
        struct lb_timing timing = {LB_TIMING_INIT};
        struct question question = {.end = LB_END_EOF, .reason = ""};

        lb_engine_outcomes(engine, look_for, &question);
        lb_engine_stats(engine, &now);
        for (unsigned i = 0; lb_engine_worker_stats(engine, i, &worker) == 0; i++)
            onlooker->shrunk |= worker.slots_used > worker.slots;
        lb_engine_timing(engine, 0, &timing);
        /* A thread's last word on its time is a little older than its end. */
        onlooker->shrunk |= now.bytes < before.bytes || now.streams < before.streams ||
                            now.cpu_seconds + 0.01 < before.cpu_seconds ||
                            question.count > now.ends[LB_END_EOF];
        before = now;
        atomic_fetch_add(&onlooker->looks, 1);
    }
    return NULL;
}

/* From before the first stream until after the last thread has ended. */
static void anybody_may_look_at_any_time(void **state)
{
    struct server *server = *state;
    struct onlooker onlooker = {.server = server};
    unsigned streams = scale_count(100, 20);

    server->sink.flags = LB_SINK_SLOW_END;
    server_open(server, streams);
    CHECK_SAME(server, pthread_create(&onlooker.thread, NULL, look, &onlooker), 0);
    server_start(server);
    for (uint64_t tag = 1; tag <= streams; tag++)
        be_served(server, tag, 10000);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    unsigned looks = atomic_load(&onlooker.looks);
    AWAIT(server, atomic_load(&onlooker.looks) > looks + 1);
    atomic_store(&onlooker.over, true);
    pthread_join(onlooker.thread, NULL);
    CHECK(server, !onlooker.shrunk);
    server_finish(server);
}

const struct test_case told_cases[] = {
    {"reasons", reasons, FAMILY_ANY, 0},
    {"refusals", refusals, FAMILY_ANY, 0},
    {"slow_ends_are_counted", slow_ends_are_counted, FAMILY_ANY, 0},
    {"quick_ends_are_not", quick_ends_are_not, FAMILY_ANY, 0},
    {"a_sink_has_durations_of_its_own", a_sink_has_durations_of_its_own, FAMILY_ANY, 0},
    {"anybody_may_look_at_any_time", anybody_may_look_at_any_time, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
