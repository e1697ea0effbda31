/* SPDX-License-Identifier: MIT */
/* Filters that judge the end, and what they have made when it comes. */
#include "filtered_suite.h"
#include "test_filters.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_MS = 50, BEHIND = 1 << 20 };

/* ---- the end --------------------------------------------------------------------------------- */

static void check_judged(struct server *server, uint64_t tag, enum lb_end end, const char *why)
{
    const struct ledger_entry *entry;

    server_await_ends(server, 1);
    server_check_payload(server, tag, FILTERED_SIZE, end);
    entry = server_await_tag(server, tag);
    if (why ? !entry->why || strcmp(entry->why, why) != 0 : entry->why != NULL)
        server_give_up(server, __FILE__, __LINE__, "why: %s, not %s",
                       entry->why ? entry->why : "none", why ? why : "none");
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[end], 1);
}

static void whole(void **state)
{
    struct server *server = *state;
    int fd;

    filtered_begin(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    filtered_send(server, fd, 1, 'W');
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    check_judged(server, 1, LB_END_EOF, NULL);
}

static void cut_off(void **state)
{
    struct server *server = *state;
    int fd;

    filtered_begin(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    filtered_send(server, fd, 1, 0);
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    (void)peer_await_eof(fd);
    close(fd);
    check_judged(server, 1, LB_END_TRUNCATED, "no trailer");
}

/* The first filter that finds something is the one that tells. */
static void cut_off_in_a_pair(void **state)
{
    struct server *server = *state;
    int fd;

    filtered_begin(server, FILTER_HALVE | FILTER_JUDGE, 1);
    fd = server_connect(server);
    filtered_send(server, fd, 1, 0);
    CHECK_OK(server, peer_send(fd, "x", 1));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    (void)peer_await_eof(fd);
    close(fd);
    check_judged(server, 1, LB_END_TRUNCATED, "half a pair");
}

static void cut_off_is_told(void **state)
{
    struct server *server = *state;
    char heard[FILTERED_HEARD];
    int fd;

    server->config.receipt = "xxh3";
    filtered_begin(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    filtered_send(server, fd, 1, 0);
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    filtered_hear(server, fd, heard);
    CHECK(server, strcmp(heard, "error truncated:no trailer 300001\nbye\n") == 0);
    check_judged(server, 1, LB_END_TRUNCATED, "no trailer");
}

static void a_reset_is_no_end(void **state)
{
    struct server *server = *state;
    int fd;

    filtered_begin(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    filtered_send(server, fd, 1, 0);
    CHECK_OK(server, peer_reset_behind(fd));
    check_judged(server, 1, LB_END_RESET, NULL);
}

/* The stream's own end comes before the connection's: what is behind it is dropped, and the receipt
 * reaches who goes on sending first. */
static void its_own_end(void **state)
{
    static const unsigned flags[] = {0, LB_SINK_MAY_PAUSE, LB_SINK_SLOW_END};
    struct server *server = *state;
    char heard[FILTERED_HEARD];

    server->config.receipt = "xxh3";
    for (size_t i = 0; i < 3; i++) {
        int fd;

        server->sink.flags = flags[i];
        if (flags[i] == LB_SINK_MAY_PAUSE)
            filtered_use_sips(server);
        else
            server->ledger.hooks.write = NULL;
        filtered_begin(server, FILTER_JUDGE | (i % 2 ? FILTER_PAIR : 0), 1);
        fd = server_connect(server);
        filtered_send(server, fd, i + 1, 'E');
        CHECK_OK(server, peer_send_payload(fd, 99, 0, BEHIND, 100000));
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        filtered_hear(server, fd, heard);
        CHECK(server, strncmp(heard, "ok 300001 xxh3:", 15) == 0);
        check_judged(server, i + 1, LB_END_EOF, NULL);
        CHECK_SAME(server, server->stats.bytes, FILTERED_SIZE);
    }
}

/* The peer waits for the receipt before it closes. */
static void its_own_end_without_an_eof(void **state)
{
    struct server *server = *state;
    char heard[FILTERED_HEARD];
    int fd;

    server->config.receipt = "xxh3";
    filtered_begin(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    filtered_send(server, fd, 1, 'E');
    filtered_hear(server, fd, heard); /* the server's EOF comes while our direction is open */
    CHECK(server, strncmp(heard, "ok 300001 xxh3:", 15) == 0);
    check_judged(server, 1, LB_END_EOF, NULL);
}

/* ---- pauses ---------------------------------------------------------------------------------- */

/* Whatever a sink leaves of a filter's output is offered again, in order, before the end. */
static void pauses(void **state)
{
    static const unsigned filters[] = {FILTER_HALVE, FILTER_JUDGE, FILTER_HALVE | FILTER_JUDGE,
                                       FILTER_PAIR | FILTER_JUDGE};
    struct server *server = *state;

    for (size_t i = 0; i < 4; i++) {
        int fd;

        filtered_use_sips(server);
        filtered_begin(server, filters[i], 1);
        fd = server_connect(server);
        filtered_send(server, fd, i + 1, 'W');
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        CHECK_OK(server, peer_await_eof(fd));
        close(fd);
        server_check_payload(server, i + 1, FILTERED_SIZE, LB_END_EOF);
        server_finish(server);
    }
}

enum { SHORT = 3000, PART = 500 };

/* Takes a part, and the rest once the gate is open. */
static ssize_t take_part(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                         size_t size)
{
    uint64_t left = PART - lb_stream_bytes(stream);
    int error;

    (void)data;
    if (gate_is_open(&entry->ledger->gate) || size <= left)
        return (ssize_t)size;
    error = ledger_watch_gate(entry, stream);
    atomic_store(&entry->mark, 1);
    return error ? error : (ssize_t)left;
}

/* A short stream, all of which is filtered, of which the sink has taken a part; its end is known if
 * trailer or its EOF is there. */
static int begin_kept(struct server *server, unsigned filters, char trailer, bool eof)
{
    struct ledger_entry *entry;
    uint8_t *data;
    size_t size;
    int fd;

    server->sink.flags |= LB_SINK_MAY_PAUSE;
    if (!server->ledger.hooks.write)
        server->ledger.hooks.write = take_part;
    server->config.drain_ms = 600000;
    filtered_begin(server, filters, 1);
    fd = server_connect(server);
    data = filtered_encode(server, 1, SHORT, trailer, &size);
    CHECK_OK(server, peer_send(fd, data, size));
    free(data);
    if (eof)
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    entry = server_await_tag(server, 1);
    AWAIT(server, atomic_load(&entry->mark) == 1 && atomic_load(&entry->bytes) == PART);
    return fd;
}

static void stop_twice(struct server *server)
{
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
}

/* Kept output is dropped, and given back. */
static void stopped_with_something_kept(void **state)
{
    static const char trailers[] = {0, 'E'};
    struct server *server = *state;

    for (int i = 0; i < 4; i++) {
        int fd =
            begin_kept(server, FILTER_HALVE | (i / 2 ? FILTER_JUDGE : 0), trailers[i / 2], i % 2);

        stop_twice(server);
        close(fd);
        server_check_payload(server, 1, PART, LB_END_STOPPED);
        server_finish(server);
    }
}

/* A drain waits for what is kept, and for the end behind it. */
static void drained_with_something_kept(void **state)
{
    struct server *server = *state;
    int fd = begin_kept(server, FILTER_HALVE | FILTER_JUDGE, 'E', false);

    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    gate_open(&server->ledger.gate);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_check_payload(server, 1, SHORT, LB_END_EOF);
    server_finish(server);
}

/* What came before a bad end is the sink's, whether it pauses or not. */
static void kept_before_a_bad_end(void **state)
{
    struct server *server = *state;
    int fd = begin_kept(server, FILTER_HALVE | FILTER_JUDGE, 0, true);

    CHECK_SAME(server, atomic_load(&server->ledger.ended), 0);
    gate_open(&server->ledger.gate);
    (void)peer_await_eof(fd);
    close(fd);
    server_await_ends(server, 1);
    server_check_payload(server, 1, SHORT, LB_END_TRUNCATED);
    server_finish(server);
}

/* The same where a filter fails in the very bytes of which it has made something before. */
static void kept_before_malformed_bytes(void **state)
{
    struct server *server = *state;
    struct ledger_entry *entry;
    uint8_t *data;
    size_t size;
    int fd;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = take_part;
    filtered_begin(server, FILTER_HALVE, 1);
    data = filtered_encode(server, 1, SHORT + 1, 0, &size);
    data[size - 1] = data[size - 2]; /* no pair */
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, data, size));
    free(data);
    entry = server_await_tag(server, 1);
    AWAIT(server, atomic_load(&entry->mark) == 1);
    gate_open(&server->ledger.gate);
    server_await_ends(server, 1);
    close(fd);
    server_check_payload(server, 1, SHORT, LB_END_ERROR);
    server_finish(server);
}

static ssize_t fail_later(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                          size_t size)
{
    return gate_is_open(&entry->ledger->gate) ? -EIO : take_part(entry, stream, data, size);
}

static void failed_with_something_kept(void **state)
{
    struct server *server = *state;
    int fd;

    server->ledger.hooks.write = fail_later;
    fd = begin_kept(server, FILTER_HALVE | FILTER_JUDGE, 'E', false);
    gate_open(&server->ledger.gate);
    server_await_ends(server, 1);
    (void)peer_await_eof(fd);
    close(fd);
    server_check_payload(server, 1, PART, LB_END_SINK);
    server_finish(server);
}

const struct test_case judged_cases[] = {
    {"filter_whole", whole, FAMILY_ANY, 0},
    {"filter_cut_off", cut_off, FAMILY_ANY, 0},
    {"filter_cut_off_in_a_pair", cut_off_in_a_pair, FAMILY_ANY, 0},
    {"filter_cut_off_is_told", cut_off_is_told, FAMILY_ANY, 0},
    {"filter_reset", a_reset_is_no_end, FAMILY_TCP, 0},
    {"filter_own_end", its_own_end, FAMILY_ANY, 0},
    {"filter_own_end_without_an_eof", its_own_end_without_an_eof, FAMILY_ANY, 0},
    {"filter_pauses", pauses, FAMILY_ANY, 0},
    {"filter_kept_and_stopped", stopped_with_something_kept, FAMILY_ANY, 0},
    {"filter_kept_and_drained", drained_with_something_kept, FAMILY_ANY, 0},
    {"filter_kept_before_a_bad_end", kept_before_a_bad_end, FAMILY_ANY, 0},
    {"filter_kept_before_malformed_bytes", kept_before_malformed_bytes, FAMILY_ANY, 0},
    {"filter_kept_and_failed", failed_with_something_kept, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
