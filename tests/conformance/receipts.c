/* SPDX-License-Identifier: MIT */
/* Receipts: each sender is told, once, what became of its stream, and only when that is certain. */
#include "suite.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS = 40, SIZE = 200000, HALF = SIZE / 2, LINE_SIZE = 300 };

/* Everything the peer hears until the server's EOF; its own descriptor is closed. */
static void hear(struct server *server, int fd, char line[LINE_SIZE])
{
    size_t size = 0;
    ssize_t got;

    while ((got = recv(fd, line + size, LINE_SIZE - 1 - size, 0)) > 0)
        size += (size_t)got;
    CHECK_SAME(server, got, 0);
    line[size] = '\0';
    close(fd);
}

static void check_ok(struct server *server, const char *line, uint64_t tag, uint64_t size)
{
    XXH128_canonical_t digest;
    char expected[LINE_SIZE];
    int length = snprintf(expected, sizeof(expected), "ok %" PRIu64 " xxh3:", size);
    const char *id;

    XXH128_canonicalFromHash(&digest, payload_digest(tag, size));
    for (size_t i = 0; i < sizeof(digest.digest); i++)
        length += snprintf(expected + length, sizeof(expected) - (size_t)length, "%02x",
                           digest.digest[i]);
    if (strncmp(line, expected, (size_t)length) != 0 || line[length] != ' ')
        server_give_up(server, __FILE__, __LINE__, "told \"%s\", not \"%s ID\"", line, expected);
    id = line + length + 1;
    CHECK(server, strlen(id) > 1 && strcspn(id, " \n") == strlen(id) - 1);
}

static void check_line(struct server *server, const char *line, const char *expected)
{
    if (strcmp(line, expected) != 0)
        server_give_up(server, __FILE__, __LINE__, "told \"%s\", not \"%s\"", line, expected);
}

/* ---- ok ------------------------------------------------------------------------------------- */

static void each_is_told(void **state)
{
    struct server *server = *state;
    uint64_t random = 4711;
    int fds[STREAMS];
    uint64_t sizes[STREAMS];
    char line[LINE_SIZE];

    server->config.receipt = "xxh3";
    server_begin(server, STREAMS);
    for (uint64_t i = 0; i < STREAMS; i++) {
        sizes[i] = random_between(&random, PAYLOAD_TAG_SIZE, SIZE);
        fds[i] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[i], i + 1, 0, sizes[i],
                                           (size_t)random_between(&random, 1000, SIZE)));
        CHECK_SAME(server, shutdown(fds[i], SHUT_WR), 0);
    }
    for (uint64_t i = 0; i < STREAMS; i++) {
        hear(server, fds[i], line);
        check_ok(server, line, i + 1, sizes[i]);
        server_check_payload(server, i + 1, sizes[i], LB_END_EOF);
    }
    server_finish(server);
}

static int block_until_gate(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)end;
    if (!lb_stream_receipt(stream))
        ledger_complain(entry->ledger, "the sink isn't told that there will be a receipt");
    atomic_store(&entry->mark, 1);
    gate_wait(&entry->ledger->gate);
    return 0;
}

/* Not before the sink's end has returned. */
static void only_after_the_end(void **state)
{
    struct server *server = *state;
    struct ledger_entry *entry;
    struct pollfd poller;
    char line[LINE_SIZE];
    int fd;

    server->config.receipt = "xxh3";
    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = block_until_gate;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    entry = server_await_tag(server, 1);
    AWAIT(server, atomic_load(&entry->mark) == 1);
    poller = (struct pollfd){.fd = fd, .events = POLLIN};
    CHECK_SAME(server, poll(&poller, 1, 20), 0);
    gate_open(&server->ledger.gate);
    hear(server, fd, line);
    check_ok(server, line, 1, SIZE);
    server_finish(server);
}

/* ---- error ---------------------------------------------------------------------------------- */

static ssize_t fail_at_half(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                            size_t size)
{
    uint64_t left = HALF - lb_stream_bytes(stream);
    int rc;

    (void)data;
    if (left == 0)
        return -ENOSPC;
    if (size <= left)
        return (ssize_t)size;
    rc = ledger_watch_gate(entry, stream); /* open all the time */
    return rc ? rc : (ssize_t)left;
}

/* The sender reads nothing before it has sent everything, as the simplest do: it still gets the
 * line, and no reset. */
static void a_failure_reaches_who_still_sends(void **state)
{
    struct server *server = *state;
    char line[LINE_SIZE], expected[LINE_SIZE];

    server->config.receipt = "xxh3";
    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = fail_at_half;
    gate_open(&server->ledger.gate);
    server_begin(server, STREAMS);
    snprintf(expected, sizeof(expected), "error sink:ENOSPC %d\n", HALF);
    for (uint64_t i = 0; i < 4; i++) {
        const uint64_t size = i % 2 ? SIZE : 16 * SIZE;
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, i + 1, 0, size, 30000));
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        hear(server, fd, line);
        check_line(server, line, expected);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], 4);
}

static int fail_end(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)entry;
    (void)stream;
    (void)end;
    return -EIO;
}

static void a_failed_end_is_told(void **state)
{
    struct server *server = *state;
    char line[LINE_SIZE], expected[LINE_SIZE];
    int fd;

    server->config.receipt = "sha256";
    server->ledger.hooks.end = fail_end;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    hear(server, fd, line);
    snprintf(expected, sizeof(expected), "error sink:EIO %d\n", SIZE);
    check_line(server, line, expected);
    server_finish(server);
}

static int end_in_doubt(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)end;
    if (lb_stream_in_doubt(stream))
        ledger_complain(entry->ledger, "the sink may not doubt");
    return lb_stream_bytes(stream) == SIZE ? -EIO : 0;
}

/* Where nobody knows, no line says that it is there, nor that it isn't; where the sink knows after
 * all, its doubts are nobody's. */
static void doubt_is_not_told(void **state)
{
    struct server *server = *state;
    char line[LINE_SIZE];
    int fd;

    server->config.receipt = "xxh3";
    server->ledger.hooks.end = end_in_doubt;
    server_begin(server, 2);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    CHECK(server, recv(fd, line, sizeof(line), 0) <= 0);
    close(fd);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 2, 0, HALF, HALF));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    hear(server, fd, line);
    check_ok(server, line, 2, HALF);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], 1);
}

static int refuse(struct ledger_entry *entry, struct lb_stream *stream)
{
    (void)entry;
    (void)stream;
    return -EACCES;
}

static void a_refusal_is_told(void **state)
{
    struct server *server = *state;
    char line[LINE_SIZE];
    int fd;

    server->config.receipt = "xxh3";
    server->ledger.hooks.open = refuse;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    hear(server, fd, line);
    check_line(server, line, "error sink:EACCES 0\n");
    server_finish(server);
}

/* While it still sends, and nobody waits for it. */
static void a_stop_is_told(void **state)
{
    struct server *server = *state;
    char line[LINE_SIZE], expected[LINE_SIZE];
    const struct ledger_entry *entry;
    int fd;

    server->config.receipt = "xxh3";
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, HALF, HALF));
    entry = server_await_tag(server, 1);
    AWAIT(server, atomic_load(&entry->bytes) == HALF);
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    CHECK(server, recv(fd, line, sizeof(line), MSG_PEEK) > 0);
    snprintf(expected, sizeof(expected), "error stopped %d\n", HALF);
    CHECK_SAME(server, recv(fd, line, sizeof(line) - 1, 0), strlen(expected));
    line[strlen(expected)] = '\0';
    check_line(server, line, expected);
    close(fd);
    server_finish(server);
}

/* Resets are nobody's to be told of, and hurt nobody else. */
static void a_reset_is_survived(void **state)
{
    struct server *server = *state;
    char line[LINE_SIZE];
    int fd;

    server->config.receipt = "xxh3";
    server_begin(server, 2);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_OK(server, peer_reset_behind(fd));
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_RESET);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 2, 0, SIZE, SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    hear(server, fd, line);
    check_ok(server, line, 2, SIZE);
    server_finish(server);
}

/* Senders that leave without hearing. Over TCP they are safe all the same: who is killed resets. Of
 * a Unix socket both look the same, and nobody is told that the stream is safe. */
static void nobody_has_to_listen(void **state)
{
    struct server *server = *state;
    const uint64_t peers = scale_count(300, 60);
    enum lb_end end = suite_is_tcp() ? LB_END_EOF : LB_END_TRUNCATED;

    server->config.receipt = "xxh3";
    server_begin(server, peers);
    for (uint64_t tag = 1; tag <= peers; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, tag, 0, SIZE / 10, SIZE));
        close(fd);
    }
    server_await_ends(server, peers);
    for (uint64_t tag = 1; tag <= peers; tag++)
        server_check_payload(server, tag, SIZE / 10, end);
    if (end == LB_END_TRUNCATED)
        CHECK(server, strcmp(server_await_tag(server, 1)->why, "peer-left") == 0);
    server_finish(server);
}

/* It said that this is all, and we have seen it before it left. */
static void who_has_said_the_end_may_leave(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.receipt = "xxh3";
    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = block_until_gate;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    AWAIT(server, atomic_load(&server_await_tag(server, 1)->mark) == 1);
    close(fd);
    gate_open(&server->ledger.gate);
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    server_finish(server);
}

const struct test_case receipts_cases[] = {
    {"receipt_each_is_told", each_is_told, FAMILY_ANY, 0},
    {"receipt_only_after_the_end", only_after_the_end, FAMILY_ANY, 0},
    {"receipt_of_a_failure_while_sending", a_failure_reaches_who_still_sends, FAMILY_ANY, 0},
    {"receipt_of_a_failed_end", a_failed_end_is_told, FAMILY_ANY, 0},
    {"receipt_in_doubt", doubt_is_not_told, FAMILY_ANY, 0},
    {"receipt_of_a_refusal", a_refusal_is_told, FAMILY_ANY, 0},
    {"receipt_of_a_stop", a_stop_is_told, FAMILY_ANY, 0},
    {"receipt_and_a_reset", a_reset_is_survived, FAMILY_TCP, 0},
    {"receipt_nobody_listens_to", nobody_has_to_listen, FAMILY_ANY, 0},
    {"receipt_nobody_listens_to_after_the_end", who_has_said_the_end_may_leave, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
