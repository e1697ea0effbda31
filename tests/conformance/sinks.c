/* SPDX-License-Identifier: MIT */
/* A sink that refuses or fails hurts its own stream only. */
#include "suite.h"

#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS = 8, SIZE = 200000, HALF = SIZE / 2 };

/* What a peer of a failing sink may see: an EOF or a reset, at any time. */
static bool is_failed_peer(int error)
{
    return error == 0 || error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN;
}

/* Sends the payloads 1 to STREAMS, one sender each, at once; the odd ones are bound to fail. */
static void send_all(struct server *server, bool odd_fail)
{
    struct sender *senders[STREAMS];

    for (uint64_t i = 0; i < STREAMS; i++)
        CHECK_OK(server, sender_start(&senders[i], server_connect(server), i + 1, SIZE, 50000));
    for (uint64_t i = 0; i < STREAMS; i++) {
        int error = sender_join(senders[i]);

        if (odd_fail && i % 2 == 0)
            CHECK(server, is_failed_peer(error));
        else
            CHECK_OK(server, error);
    }
    server_await_ends(server, STREAMS);
}

static int refuse_odd_ids(struct ledger_entry *entry, struct lb_stream *stream)
{
    (void)stream;
    return entry->id % 2 == 1 ? -EACCES : 0;
}

/* Returns what the peer saw: a refusal may come before its connect has returned. */
static int send_to_refuser(struct server *server, uint64_t tag)
{
    int error, fd = peer_connect(server->address);

    AWAIT(server, atomic_load(&server->ledger.opened) == tag);
    if (fd < 0)
        return fd;
    error = peer_send_payload(fd, tag, 0, SIZE, SIZE);
    if (error == 0)
        return peer_finish(fd, NULL, 0);
    close(fd);
    return error;
}

static void refuses_open(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.open = refuse_odd_ids;
    server_begin(server, STREAMS);
    for (uint64_t tag = 1; tag <= STREAMS; tag++) {
        int error = send_to_refuser(server, tag);

        if (tag % 2 == 1)
            CHECK(server, is_failed_peer(error));
        else
            CHECK_OK(server, error);
    }
    server_await_ends(server, STREAMS);
    for (uint64_t tag = 2; tag <= STREAMS; tag += 2)
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    for (size_t i = 0; i < STREAMS; i += 2) {
        CHECK_SAME(server, atomic_load(&server_entry(server, i)->phase), LEDGER_REFUSED);
        CHECK_SAME(server, atomic_load(&server_entry(server, i)->end_calls), 0);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], STREAMS / 2);
}

/* The odd ones fail once they have taken HALF. */
static ssize_t fail_halfway(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                            size_t size)
{
    (void)data;
    if (entry->tag % 2 == 1 && lb_stream_bytes(stream) >= HALF)
        return -ENOSPC;
    return (ssize_t)size;
}

static ssize_t fail_at_once(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                            size_t size)
{
    (void)stream;
    (void)data;
    return entry->tag % 2 == 1 ? -EIO : (ssize_t)size;
}

static void check_odd_failed(struct server *server)
{
    for (uint64_t tag = 1; tag <= STREAMS; tag++) {
        const struct ledger_entry *entry = server_await_tag(server, tag);

        CHECK_SAME(server, atomic_load(&entry->end_calls), 1);
        if (tag % 2 == 0)
            server_check_payload(server, tag, SIZE, LB_END_EOF);
        else
            CHECK_SAME(server, entry->end, LB_END_SINK);
    }
}

static void fails_halfway(void **state)
{
    struct server *server = *state;
    int fds[STREAMS + 1], error;

    server->ledger.hooks.write = fail_halfway;
    server_begin(server, STREAMS);
    for (uint64_t tag = 1; tag <= STREAMS; tag++) {
        struct ledger_entry *entry;

        fds[tag] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[tag], tag, 0, HALF, HALF));
        entry = server_await_tag(server, tag);
        AWAIT(server, atomic_load(&entry->bytes) == HALF);
    }
    for (uint64_t tag = 1; tag <= STREAMS; tag++) {
        error = peer_send_payload(fds[tag], tag, HALF, SIZE, HALF);
        if (error == 0)
            error = peer_finish(fds[tag], NULL, 0);
        else
            close(fds[tag]);
        CHECK(server, error == 0 || (tag % 2 == 1 && is_failed_peer(error)));
    }
    server_await_ends(server, STREAMS);
    check_odd_failed(server);
    for (uint64_t tag = 1; tag <= STREAMS; tag += 2)
        CHECK_SAME(server, atomic_load(&server_await_tag(server, tag)->bytes), HALF);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], STREAMS / 2);
}

static void fails_at_once(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.write = fail_at_once;
    server_begin(server, STREAMS);
    send_all(server, true);
    check_odd_failed(server);
    for (uint64_t tag = 1; tag <= STREAMS; tag += 2)
        CHECK(server, atomic_load(&server_await_tag(server, tag)->bytes) < PAYLOAD_TAG_SIZE);
    server_finish(server);
}

static int fail_odd_ends(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    return entry->tag % 2 == 1 ? -EDQUOT : 0;
}

/* An eof whose end failed is not complete: it counts as sink. */
static void fails_end(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.end = fail_odd_ends;
    server_begin(server, STREAMS);
    send_all(server, true);
    for (uint64_t tag = 1; tag <= STREAMS; tag++)
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], STREAMS / 2);
    CHECK_SAME(server, server->stats.partial, STREAMS / 2);
}

/* A reset stays a reset, also when the sink's end fails. */
static void fails_end_of_reset(void **state)
{
    struct server *server = *state;
    int fd;

    server->ledger.hooks.end = fail_odd_ends;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_OK(server, peer_reset_behind(fd));
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_RESET);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_RESET], 1);
}

/* ---- serial --------------------------------------------------------------------------------- */

static void serial(void **state)
{
    struct server *server = *state;

    server->sink.flags = LB_SINK_SERIAL;
    server_begin(server, STREAMS);
    send_all(server, false);
    for (uint64_t tag = 1; tag <= STREAMS; tag++)
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    CHECK_SAME(server, atomic_load(&server->ledger.most_under_way), 1);
    for (size_t i = 0; i < STREAMS; i++)
        CHECK_SAME(server, server_entry(server, i)->id, i + 1);
    server_finish(server);
}

/* ---- the smallest sink ---------------------------------------------------------------------- */

static ssize_t only_count(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)data;
    atomic_fetch_add((_Atomic uint64_t *)context, size);
    return (ssize_t)size;
}

static void only_write(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "counter", .write = only_count};
    struct server *server = *state;
    _Atomic uint64_t bytes = 0;
    struct lb_stats stats = {LB_STATS_INIT};

    server->config.sink = &sink;
    server->config.sink_context = &bytes;
    CHECK_OK(server, lb_engine_open(&server->engine, &server->config, NULL));
    server->address = suite_front(lb_engine_address(server->engine, 0));
    server_start(server);
    for (int i = 0; i < STREAMS; i++)
        CHECK_OK(server, peer_finish(server_connect(server), "12345", 5));
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    stats = server_stats(server);
    CHECK_SAME(server, stats.ends[LB_END_EOF], STREAMS);
    CHECK_SAME(server, stats.streams, STREAMS);
    CHECK_SAME(server, stats.bytes, 5 * STREAMS);
    CHECK_SAME(server, atomic_load(&bytes), 5 * STREAMS);
    lb_engine_close(server->engine);
    server->engine = NULL;
    suite_leave();
}

const struct test_case sinks_cases[] = {
    {"sink_refuses_open", refuses_open, FAMILY_ANY, 0},
    {"sink_fails_halfway", fails_halfway, FAMILY_ANY, 0},
    {"sink_fails_at_once", fails_at_once, FAMILY_ANY, 0},
    {"sink_fails_end", fails_end, FAMILY_ANY, 0},
    {"sink_fails_end_of_reset", fails_end_of_reset, FAMILY_TCP, 0},
    {"sink_serial", serial, FAMILY_ANY, 0},
    {"sink_only_write", only_write, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
