/* SPDX-License-Identifier: MIT */
/* Stopping: while idle, while receiving, while a sink pauses or ends; at once or with a drain. */
#include "suite.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HALF = 50000, SIZE = 2 * HALF };

/* How long to look for something that must not happen. It can't happen late by mistake: what would
 * make it happen comes only afterwards. */
enum { LOOK_MS = 50 };

static void while_idle(void **state)
{
    struct server *server = *state;

    server_begin(server, 1);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    server_finish(server);
    CHECK_SAME(server, server->stats.accepted, 0);
}

static void after_some_streams(void **state)
{
    struct server *server = *state;

    server_begin(server, 3);
    for (int i = 0; i < 3; i++)
        CHECK_OK(server, peer_finish(server_connect(server), "abc", 3));
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 3);
}

/* Closed without ever having been started, with a peer in the backlog. */
static void never_started(void **state)
{
    struct server *server = *state;
    int fd;

    server_open(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "abc", 3));
    lb_engine_close(server->engine);
    server->engine = NULL;
    close(fd);
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 0);
    CHECK_SAME(server, process_count_fds(), server->fds);
}

static struct lb_engine *_Atomic signalled;

static void stop_on_signal(int number)
{
    (void)number;
    lb_engine_stop(atomic_load(&signalled));
}

static void from_signal_handler(void **state)
{
    const struct sigaction action = {.sa_handler = stop_on_signal, .sa_flags = SA_RESTART};
    struct sigaction before;
    struct server *server = *state;

    server_begin(server, 1);
    CHECK_OK(server, peer_finish(server_connect(server), "abc", 3));
    atomic_store(&signalled, server->engine);
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_finish(server);
}

/* A stream of which the sink has the first half. */
static int begin_stream(struct server *server, uint64_t tag)
{
    int fd = server_connect(server);
    struct ledger_entry *entry;

    CHECK_OK(server, peer_send_payload(fd, tag, 0, HALF, HALF));
    entry = server_await_tag(server, tag);
    AWAIT(server, atomic_load(&entry->bytes) == HALF);
    return fd;
}

/* Streams under way go on after a stop, and end as they would have. */
static void drains(void **state)
{
    struct server *server = *state;
    int first, second;

    server->config.drain_ms = 600000;
    server_begin(server, 2);
    first = begin_stream(server, 1);
    second = begin_stream(server, 2);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    CHECK_SAME(server, server_stats(server).active, 2);
    CHECK_OK(server, peer_send_payload(first, 1, HALF, SIZE, 1000));
    CHECK_OK(server, peer_finish(first, NULL, 0));
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    CHECK_OK(server, peer_send_payload(second, 2, HALF, SIZE, HALF));
    CHECK_OK(server, peer_finish(second, NULL, 0));
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    server_check_payload(server, 2, SIZE, LB_END_EOF);
    server_finish(server);
}

/* A stopped engine takes no new peer. */
static void takes_no_more(void **state)
{
    struct server *server = *state;
    int first, late;

    server->config.drain_ms = 600000;
    server_begin(server, 1);
    first = begin_stream(server, 1);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, 10 * LOOK_MS), -ETIMEDOUT);
    late = peer_connect(server->address); /* refused, or left in the backlog */
    CHECK_OK(server, peer_send_payload(first, 1, HALF, SIZE, HALF));
    CHECK_OK(server, peer_finish(first, NULL, 0));
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    if (late >= 0)
        close(late);
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 1);
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 1);
}

/* Peers that have sent all and wait to be accepted. */
static void fill_backlog(struct server *server, int *fds, uint64_t from, uint64_t to)
{
    for (uint64_t tag = from; tag <= to; tag++) {
        fds[tag] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[tag], tag, 0, 20000, 20000));
        CHECK_SAME(server, shutdown(fds[tag], SHUT_WR), 0);
    }
}

/* Who had come before the stop is served, one after the other where there is no more room; nobody
 * who comes after it is. */
static void drains_the_backlog(void **state)
{
    enum { PEERS = 12 };
    struct server *server = *state;
    int fds[PEERS + 1], first, late;

    server->config.drain_ms = 600000;
    server->config.max_streams = 1;
    server_begin(server, PEERS + 2);
    first = begin_stream(server, 99);
    fill_backlog(server, fds, 1, PEERS);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, 2 * LOOK_MS), -ETIMEDOUT);
    late = peer_connect_begin(server->address); /* refused, or never answered */
    CHECK_OK(server, peer_send_payload(first, 99, HALF, SIZE, HALF));
    CHECK_OK(server, peer_finish(first, NULL, 0));
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    if (late >= 0)
        close(late);
    for (uint64_t tag = 1; tag <= PEERS; tag++) {
        close(fds[tag]);
        server_check_payload(server, tag, 20000, LB_END_EOF);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], PEERS + 1);
    CHECK_SAME(server, server->stats.streams, PEERS + 1);
}

/* Stopped before it has looked once. */
static void drains_a_fresh_backlog(void **state)
{
    enum { PEERS = 60 };
    struct server *server = *state;
    int fds[PEERS + 1];

    server_open(server, PEERS);
    fill_backlog(server, fds, 1, PEERS);
    lb_engine_stop(server->engine);
    server_start(server);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    for (uint64_t tag = 1; tag <= PEERS; tag++) {
        close(fds[tag]);
        server_check_payload(server, tag, 20000, LB_END_EOF);
    }
    server_finish(server);
}

/* They wait for their turn as long as streams may go on, and no longer. */
static void a_backlog_and_a_short_drain(void **state)
{
    enum { PEERS = 4 };
    struct server *server = *state;
    int fds[PEERS + 1], first;

    server->config.drain_ms = LOOK_MS;
    server->config.max_streams = 1;
    server_begin(server, PEERS + 1);
    first = begin_stream(server, 99);
    fill_backlog(server, fds, 1, PEERS);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    close(first);
    for (uint64_t tag = 1; tag <= PEERS; tag++)
        close(fds[tag]);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_STOPPED], server->stats.streams);
}

static void check_stopped(struct server *server, int fd)
{
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    CHECK_SAME(server, atomic_load(&server->ledger.ended), 1);
    server_check_payload(server, 1, HALF, LB_END_STOPPED);
    close(fd);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_STOPPED], 1);
}

static void twice(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.drain_ms = 600000;
    server_begin(server, 1);
    fd = begin_stream(server, 1);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    CHECK_SAME(server, atomic_load(&server->ledger.ended), 0);
    lb_engine_stop(server->engine);
    check_stopped(server, fd);
}

/* Two stops before the engine has looked once. */
static void twice_at_once(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.drain_ms = 600000;
    server_begin(server, 1);
    fd = begin_stream(server, 1);
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    check_stopped(server, fd);
}

static void drain_runs_out(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.drain_ms = LOOK_MS;
    server_begin(server, 1);
    fd = begin_stream(server, 1);
    lb_engine_stop(server->engine);
    check_stopped(server, fd);
}

static void without_drain(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.drain_ms = LB_NO_DRAIN;
    server_begin(server, 1);
    fd = begin_stream(server, 1);
    lb_engine_stop(server->engine);
    check_stopped(server, fd);
}

/* Stopped while bytes pour in: every stream has one end, and the counts are right. */
static void in_full_flow(void **state)
{
    enum { STREAMS = 8 };
    struct server *server = *state;
    struct sender *senders[STREAMS];

    server_begin(server, STREAMS);
    for (uint64_t i = 0; i < STREAMS; i++)
        CHECK_OK(server, sender_start(&senders[i], server_connect(server), i + 1, UINT64_C(1) << 40,
                                      100000));
    for (uint64_t i = 0; i < STREAMS; i++) {
        struct ledger_entry *entry = server_await_tag(server, i + 1);

        AWAIT(server, atomic_load(&entry->bytes) > (1 << 20));
    }
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    for (uint64_t i = 0; i < STREAMS; i++) {
        const struct ledger_entry *entry;
        int error = sender_join(senders[i]);

        CHECK(server, error == -EPIPE || error == -ECONNRESET);
        entry = server_await_tag(server, i + 1);
        server_check_payload(server, i + 1, atomic_load(&entry->bytes), LB_END_STOPPED);
    }
    server_finish(server);
}

/* lb_engine_close alone, while a stream is under way. */
static void closed_while_receiving(void **state)
{
    struct server *server = *state;
    int fd;

    server_begin(server, 1);
    fd = begin_stream(server, 1);
    lb_engine_close(server->engine);
    server->engine = NULL;
    CHECK_SAME(server, atomic_load(&server->ledger.ended), 1);
    server_check_payload(server, 1, HALF, LB_END_STOPPED);
    close(fd);
    CHECK(server, !atomic_load(&server->ledger.broken));
    CHECK_SAME(server, process_count_fds(), server->fds);
}

/* ---- while the sink has the stream ---------------------------------------------------------- */

static ssize_t take_half(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                         size_t size)
{
    const uint64_t left = HALF - lb_stream_bytes(stream);
    int error;

    (void)data;
    if (size <= left)
        return (ssize_t)size;
    error = ledger_watch_gate(entry, stream); /* stays closed */
    atomic_store(&entry->mark, 1);
    return error ? error : (ssize_t)left;
}

static void while_paused(void **state)
{
    struct server *server = *state;
    int fd;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = take_half;
    server->config.drain_ms = 600000;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    AWAIT(server, atomic_load(&server_await_tag(server, 1)->mark) == 1);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    lb_engine_stop(server->engine);
    check_stopped(server, fd);
}

static int block_until_gate(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    atomic_store(&entry->mark, 1);
    gate_wait(&entry->ledger->gate);
    return 0;
}

/* A slow end is not interrupted: the stream was complete, and stays so. */
static void while_ending(void **state)
{
    struct server *server = *state;
    int fd;

    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = block_until_gate;
    server->config.drain_ms = LB_NO_DRAIN;
    server_begin(server, 1);
    fd = begin_stream(server, 1);
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    AWAIT(server, atomic_load(&server_await_tag(server, 1)->mark) == 1);
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    gate_open(&server->ledger.gate);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_check_payload(server, 1, HALF, LB_END_EOF);
    close(fd);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 1);
}

/* An end in progress is asked once more, to give up. */
static int end_until_stopped(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    int error;

    if (end == LB_END_STOPPED)
        return 0;
    error = ledger_watch_gate(entry, stream); /* stays closed */
    atomic_store(&entry->mark, 1);
    return error ? error : -EINPROGRESS;
}

static void while_end_in_progress(void **state)
{
    struct server *server = *state;
    int fd;

    server->ledger.hooks.end = end_until_stopped;
    server->config.drain_ms = 600000;
    server_begin(server, 1);
    fd = begin_stream(server, 1);
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    AWAIT(server, atomic_load(&server_await_tag(server, 1)->mark) == 1);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    CHECK_SAME(server, atomic_load(&server->ledger.ended), 0);
    lb_engine_stop(server->engine);
    check_stopped(server, fd);
}

const struct test_case stops_cases[] = {
    {"stop_while_idle", while_idle, FAMILY_ANY, 0},
    {"stop_after_some_streams", after_some_streams, FAMILY_ANY, 0},
    {"stop_never_started", never_started, FAMILY_ANY, 0},
    {"stop_from_signal_handler", from_signal_handler, FAMILY_ANY, 0},
    {"stop_drains", drains, FAMILY_ANY, 0},
    {"stop_takes_no_more", takes_no_more, FAMILY_ANY, 0},
    {"stop_drains_the_backlog", drains_the_backlog, FAMILY_ANY, 0},
    {"stop_drains_a_fresh_backlog", drains_a_fresh_backlog, FAMILY_ANY, 0},
    {"stop_with_a_backlog_and_a_short_drain", a_backlog_and_a_short_drain, FAMILY_ANY, 0},
    {"stop_twice", twice, FAMILY_ANY, 0},
    {"stop_twice_at_once", twice_at_once, FAMILY_ANY, 0},
    {"stop_drain_runs_out", drain_runs_out, FAMILY_ANY, 0},
    {"stop_without_drain", without_drain, FAMILY_ANY, 0},
    {"stop_in_full_flow", in_full_flow, FAMILY_ANY, 0},
    {"stop_by_close", closed_while_receiving, FAMILY_ANY, 0},
    {"stop_while_paused", while_paused, FAMILY_ANY, 0},
    {"stop_while_ending", while_ending, FAMILY_ANY, 0},
    {"stop_while_end_in_progress", while_end_in_progress, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
