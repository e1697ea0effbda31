/* SPDX-License-Identifier: MIT */
/* Preludes: what a peer sends before its stream, and what becomes of those that don't. */
#include "filtered_suite.h"
#include "test_filters.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 100000, LOOK_MS = 50, LONG_MS = 600000 };

/* ---- peers ----------------------------------------------------------------------------------- */

static int connect_with(struct server *server, uint8_t kind, const char *address, uint16_t port)
{
    uint8_t header[HEADER_SIZE_MAX];
    size_t size = header_make(header, kind, address, port);
    int fd = server_connect(server);

    CHECK_OK(server, peer_send(fd, header, size));
    return fd;
}

static void send_rest(struct server *server, int fd, uint64_t tag)
{
    struct sender *sender;

    CHECK_OK(server, sender_start(&sender, fd, tag, SIZE, SIZE));
    CHECK_OK(server, sender_join(sender));
    server_check_payload(server, tag, SIZE, LB_END_EOF);
}

/* Begins a header, and no more comes of it. */
static int connect_silent(struct server *server)
{
    int fd = server_connect(server);

    CHECK_OK(server, peer_send(fd, "HE", 2));
    return fd;
}

/* Filters have read so much. */
static void await_read(struct server *server, size_t size)
{
    AWAIT(server, atomic_load(&test_header_bytes) == size);
}

static void begin_with_headers(struct server *server, size_t room)
{
    test_filters_used = FILTER_HEADER;
    server_begin(server, room);
}

/* Whoever was turned away hears of it, soon. */
static void check_turned_away(struct server *server, int fd)
{
    int rc = peer_await_eof(fd);

    CHECK(server, rc == 0 || rc == -ECONNRESET);
    close(fd);
}

static void check_failed(struct server *server, uint64_t count, const char *why)
{
    server_finish(server);
    CHECK_SAME(server, server->stats.failed_preludes, count);
    CHECK_SAME(server, server->stats.refused, count);
    if (!strstr(server->warnings, why))
        server_give_up(server, __FILE__, __LINE__, "not told of \"%s\", but: %s", why,
                       server->warnings);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void a_header(void **state)
{
    struct server *server = *state;

    begin_with_headers(server, 3);
    for (uint64_t tag = 1; tag <= 3; tag++)
        send_rest(server, connect_with(server, HEADER_PLAIN, NULL, 0), tag);
    server_finish(server);
    CHECK_SAME(server, server->stats.streams, 3);
    CHECK_SAME(server, server->stats.bytes, 3 * SIZE);
}

/* A byte at a time, each looked at before the next is sent; the stream's first byte comes with the
 * header's last. */
static void a_header_in_pieces(void **state)
{
    struct server *server = *state;
    uint8_t header[HEADER_SIZE_MAX + PAYLOAD_TAG_SIZE];
    size_t size = header_make(header, HEADER_ADDRESS, "192.0.2.7", 7);
    int fd;

    test_filters_used = FILTER_HEADER;
    server_begin(server, 1);
    fd = server_connect(server);
    for (size_t i = 0; i + 1 < size; i++) {
        CHECK_OK(server, peer_send(fd, header + i, 1));
        await_read(server, i + 1);
    }
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 0);
    payload_fill(1, 0, header + size, PAYLOAD_TAG_SIZE);
    CHECK_OK(server, peer_send(fd, header + size - 1, 1 + PAYLOAD_TAG_SIZE));
    CHECK_OK(server, peer_send_payload(fd, 1, PAYLOAD_TAG_SIZE, SIZE, SIZE));
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    CHECK(server, strcmp(server_entry(server, 0)->peer, "192.0.2.7:7") == 0);
    server_finish(server);
}

/* All of it is there before anybody looks, the EOF too. */
static void a_header_in_the_backlog(void **state)
{
    struct server *server = *state;
    int fds[5];

    test_filters_used = FILTER_HEADER;
    server_open(server, 5);
    for (uint64_t i = 0; i < 5; i++) {
        fds[i] = connect_with(server, HEADER_PLAIN, NULL, 0);
        CHECK_OK(server, peer_send_payload(fds[i], i + 1, 0, 10000, 10000));
        CHECK_SAME(server, shutdown(fds[i], SHUT_WR), 0);
    }
    server_start(server);
    for (uint64_t i = 0; i < 5; i++) {
        CHECK_OK(server, peer_await_eof(fds[i]));
        close(fds[i]);
        server_check_payload(server, i + 1, 10000, LB_END_EOF);
    }
    server_finish(server);
}

/* The peer is told something before its stream begins. */
static void a_header_that_is_answered(void **state)
{
    struct server *server = *state;
    char heard[6];
    int fd;

    begin_with_headers(server, 1);
    fd = connect_with(server, HEADER_ASK, NULL, 0);
    CHECK_OK(server, peer_receive(fd, heard, sizeof(heard)));
    CHECK(server, memcmp(heard, "heard\n", sizeof(heard)) == 0);
    send_rest(server, fd, 1);
    server_finish(server);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void a_malformed_header(void **state)
{
    static const char *const malformed[] = {"X", "HEAR", "HEADx", "HEXXXXXXXXXXXXXXXXXXXXXXX"};
    struct server *server = *state;

    begin_with_headers(server, 1);
    for (size_t i = 0; i < 4; i++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send(fd, malformed[i], strlen(malformed[i])));
        check_turned_away(server, fd);
    }
    send_rest(server, connect_with(server, HEADER_PLAIN, NULL, 0), 1);
    check_failed(server, 4, ": error: turned away (header: not a header)");
    CHECK_SAME(server, server->stats.streams, 1);
    CHECK_SAME(server, server->stats.accepted, 1);
    CHECK_SAME(server, server->stats.partial, 0);
}

static void a_header_cut_off(void **state)
{
    struct server *server = *state;

    begin_with_headers(server, 1);
    for (int i = 0; i < 3; i++) {
        int fd = i ? connect_silent(server) : server_connect(server);

        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        check_turned_away(server, fd);
    }
    check_failed(server, 3, ": reset: turned away (header: cut off)");
    CHECK_SAME(server, server->stats.streams, 0);
}

static void a_peer_that_stops_in_its_header(void **state)
{
    enum { TIMEOUT_MS = 150 };
    struct server *server = *state;
    uint64_t begin;
    int silent, mute;

    server->config.handshake_timeout_ms = TIMEOUT_MS;
    begin_with_headers(server, 1);
    begin = time_now_ns();
    silent = connect_silent(server);
    mute = server_connect(server);
    send_rest(server, connect_with(server, HEADER_PLAIN, NULL, 0), 1);
    check_turned_away(server, silent);
    CHECK(server, time_now_ns() - begin >= TIMEOUT_MS * UINT64_C(1000000));
    check_turned_away(server, mute);
    check_failed(server, 2, ": timeout: turned away (header: handshake-timeout)");
    CHECK_SAME(server, server->stats.streams, 1);
}

/* A peer that sends a byte now and then has no more time than others. */
static void a_slow_header_has_its_end(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.handshake_timeout_ms = 100;
    begin_with_headers(server, 1);
    fd = connect_with(server, HEADER_PLAIN, NULL, 0);
    send_rest(server, fd, 1); /* its deadline is no concern of the stream */
    fd = server_connect(server);
    for (size_t i = 0; server_stats(server).refused == 0; i++) {
        (void)peer_send(fd, &"HEAD"[i % 2], i < 2);
        time_nap();
    }
    check_turned_away(server, fd);
    check_failed(server, 1, "handshake-timeout");
}

static void failures_are_not_counted(void **state)
{
    struct server *server = *state;

    server->config.count = 1;
    begin_with_headers(server, 1);
    for (int i = 0; i < 3; i++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send(fd, "bad", 3));
        check_turned_away(server, fd);
        CHECK_SAME(server, lb_engine_wait(server->engine, 0), -ETIMEDOUT);
    }
    send_rest(server, connect_with(server, HEADER_PLAIN, NULL, 0), 1);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    check_failed(server, 3, "not a header");
    CHECK_SAME(server, server->stats.streams, 1);
}

/* ---- how many -------------------------------------------------------------------------------- */

/* Two are silent, and nobody else has a turn until one of them has gone. */
static void at_most_so_many(void **state)
{
    struct server *server = *state;
    int silent[2], fds[3];

    server->config.max_handshakes = 2;
    server->config.handshake_timeout_ms = LONG_MS;
    begin_with_headers(server, 3);
    for (int i = 0; i < 2; i++) {
        silent[i] = connect_silent(server);
        await_read(server, 2 * (size_t)i + 2);
    }
    for (int i = 0; i < 3; i++)
        fds[i] = connect_with(server, HEADER_PLAIN, NULL, 0);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 0);
    CHECK_SAME(server, server_stats(server).refused, 0);
    close(silent[0]);
    for (uint64_t i = 0; i < 3; i++)
        send_rest(server, fds[i], i + 1);
    CHECK_OK(server, peer_send(silent[1], "AD!", 3));
    check_turned_away(server, silent[1]);
    check_failed(server, 2, "cut off"); /* the rest is told of once in a second */
    CHECK_SAME(server, server->stats.streams, 3);
}

/* Whoever has no turn yet has all his time before him, and the engine none of its own. */
static void silence_costs_nothing(void **state)
{
    enum { SILENT = 40 };
    struct server *server = *state;
    struct lb_stats before;
    int fds[SILENT];

    server->config.max_handshakes = SILENT / 2;
    server->config.handshake_timeout_ms = LONG_MS;
    begin_with_headers(server, 1);
    for (int i = 0; i < SILENT; i++)
        fds[i] = connect_silent(server);
    await_read(server, SILENT); /* two bytes of half of them */
    AWAIT(server, (before = server_stats(server),
                   lb_engine_wait(server->engine, 4 * LOOK_MS) == -ETIMEDOUT &&
                       server_stats(server).waits == before.waits));
    CHECK(server, server_stats(server).cpu_seconds - before.cpu_seconds < 0.02);
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    AWAIT(server, server_stats(server).failed_preludes == SILENT);
    server_finish(server);
    printf("fault 17 %s %s: 1 cases\n", suite.backend, suite_is_tcp() ? "tcp" : "unix");
}

/* The engine doesn't wait for those that can't begin any more. */
static void the_count_is_reached_meanwhile(void **state)
{
    struct server *server = *state;
    int silent;

    server->config.count = 2; /* for the blocking backend: so many workers */
    server->config.handshake_timeout_ms = LONG_MS;
    begin_with_headers(server, 2);
    silent = connect_silent(server);
    for (uint64_t tag = 1; tag <= 2; tag++)
        send_rest(server, connect_with(server, HEADER_PLAIN, NULL, 0), tag);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    check_turned_away(server, silent);
    server_finish(server);
    CHECK_SAME(server, server->stats.streams, 2);
    CHECK_SAME(server, server->stats.refused, 0);
}

/* ---- who ------------------------------------------------------------------------------------- */

/* It is the header's peer that is asked about, and told of. */
static void the_real_peer_is_denied(void **state)
{
    static const char *const deny[] = {"192.0.2.0/24", NULL};
    static const char refusal[] = "error limit:denied 0\n";
    struct server *server = *state;
    char line[sizeof(refusal)] = "";
    int fd;

    server->config.deny = deny;
    server->config.receipt = "xxh3";
    begin_with_headers(server, 1);
    fd = connect_with(server, HEADER_ADDRESS, "192.0.2.77", 4711);
    CHECK_OK(server, peer_receive(fd, line, sizeof(refusal) - 1));
    CHECK(server, strcmp(line, refusal) == 0);
    check_turned_away(server, fd);
    send_rest(server, connect_with(server, HEADER_ADDRESS, "203.0.113.1", 1), 1);
    CHECK(server, strcmp(server_entry(server, 0)->peer, "203.0.113.1:1") == 0);
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, 1);
    CHECK_SAME(server, server->stats.failed_preludes, 0);
    CHECK_SAME(server, server->stats.ends[LB_END_LIMIT], 1);
    CHECK(server, strstr(server->warnings, "from 192.0.2.77:4711: limit: turned away (denied)"));
}

static void so_many_of_a_real_peer(void **state)
{
    struct server *server = *state;
    int first, fd;

    server->config.max_streams_per_peer = 1;
    begin_with_headers(server, 3);
    first = connect_with(server, HEADER_ADDRESS, "192.0.2.1", 1);
    CHECK_OK(server, peer_send_payload(first, 1, 0, PAYLOAD_TAG_SIZE, SIZE));
    server_await_tag(server, 1);
    fd = connect_with(server, HEADER_ADDRESS, "192.0.2.1", 2);
    check_turned_away(server, fd);
    send_rest(server, connect_with(server, HEADER_ADDRESS, "192.0.2.2", 1), 2);
    close(first);
    server_await_ends(server, 2);
    /* Its place is free a moment after the sink has heard of its end. */
    AWAIT(server, server_stats(server).active == 0);
    send_rest(server, connect_with(server, HEADER_ADDRESS, "192.0.2.1", 3), 3);
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, 1);
    CHECK(server, strstr(server->warnings, "from 192.0.2.1:2: limit: turned away (per-peer)"));
}

/* ---- stops ----------------------------------------------------------------------------------- */

/* One whose prelude runs, and one that waits for its turn. */
static void begin_waiting(struct server *server, int fds[2])
{
    server->config.max_handshakes = 1;
    server->config.handshake_timeout_ms = LONG_MS;
    server->config.drain_ms = LONG_MS;
    begin_with_headers(server, 2);
    fds[0] = connect_silent(server);
    await_read(server, 2);
    fds[1] = connect_silent(server);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
}

/* What was accepted is served: both have their time after the first stop. */
static void preludes_are_drained(void **state)
{
    struct server *server = *state;
    int fds[2];

    begin_waiting(server, fds);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    CHECK_OK(server, peer_send(fds[0], "ADP", 3));
    send_rest(server, fds[0], 1);
    (void)peer_send(fds[1], "ADP", 3); /* if it was still in the backlog it is refused */
    (void)peer_send_payload(fds[1], 2, 0, SIZE, SIZE);
    shutdown(fds[1], SHUT_WR);
    (void)peer_await_eof(fds[1]);
    close(fds[1]);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_finish(server);
    CHECK(server, server->stats.ends[LB_END_EOF] == atomic_load(&server->ledger.opened));
    CHECK_SAME(server, server->stats.refused, 0);
}

static void a_second_stop_ends_preludes(void **state)
{
    struct server *server = *state;
    int fds[2];

    begin_waiting(server, fds);
    lb_engine_stop(server->engine);
    CHECK_SAME(server, lb_engine_wait(server->engine, LOOK_MS), -ETIMEDOUT);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    check_turned_away(server, fds[0]);
    check_turned_away(server, fds[1]);
    server_finish(server);
    CHECK_SAME(server, server->stats.streams, 0);
    CHECK_SAME(server, server->stats.refused, 0);
}

static void preludes_and_a_close(void **state)
{
    struct server *server = *state;
    int fds[2];

    begin_waiting(server, fds);
    lb_engine_close(server->engine);
    server->engine = NULL;
    check_turned_away(server, fds[0]);
    check_turned_away(server, fds[1]);
    CHECK_SAME(server, process_count_fds(), server->fds);
}

const struct test_case preludes_cases[] = {
    {"prelude", a_header, FAMILY_ANY, 0},
    {"prelude_in_pieces", a_header_in_pieces, FAMILY_ANY, 0},
    {"prelude_in_the_backlog", a_header_in_the_backlog, FAMILY_ANY, 0},
    {"prelude_answered", a_header_that_is_answered, FAMILY_ANY, 0},
    {"prelude_malformed", a_malformed_header, FAMILY_ANY, 0},
    {"prelude_cut_off", a_header_cut_off, FAMILY_ANY, 0},
    {"prelude_deadline", a_peer_that_stops_in_its_header, FAMILY_ANY, 0},
    {"prelude_deadline_for_the_slow", a_slow_header_has_its_end, FAMILY_ANY, 0},
    {"prelude_failures_not_counted", failures_are_not_counted, FAMILY_ANY, 0},
    {"prelude_at_most_so_many", at_most_so_many, FAMILY_ANY, 0},
    {"prelude_silence_costs_nothing", silence_costs_nothing, FAMILY_ANY, 0},
    {"prelude_when_the_count_is_reached", the_count_is_reached_meanwhile, FAMILY_ANY, 0},
    {"prelude_names_a_denied_peer", the_real_peer_is_denied, FAMILY_ANY, 0},
    {"prelude_names_a_known_peer", so_many_of_a_real_peer, FAMILY_ANY, 0},
    {"prelude_drained", preludes_are_drained, FAMILY_ANY, 0},
    {"prelude_stopped", a_second_stop_ends_preludes, FAMILY_ANY, 0},
    {"prelude_closed", preludes_and_a_close, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
