/* SPDX-License-Identifier: MIT */
/* Fronts that say by the PROXY protocol for whom they come, and who else comes. */
#include "suite.h"

#include "front.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 100000 };

/* Everybody who can come here, and nobody. */
static const char *const all[] = {"127.0.0.0/8", "::1", "unix", NULL};
static const char *const nobody[] = {"192.0.2.0/24", "2001:db8::/32", NULL};

static void begin(struct server *server, const char *const *fronts, size_t room)
{
    server->config.proxy_protocol = fronts;
    server_begin(server, room);
}

static int connect_with(struct server *server, const uint8_t *header, size_t size)
{
    int fd = server_connect(server);

    CHECK_OK(server, peer_send(fd, header, size));
    return fd;
}

static int connect_as(struct server *server, const char *address, uint16_t port)
{
    uint8_t header[FRONT_HEADER_MAX];

    return connect_with(server, header, front_text(header, address, port));
}

static void send_rest(struct server *server, int fd, uint64_t tag)
{
    struct sender *sender;

    CHECK_OK(server, sender_start(&sender, fd, tag, SIZE, SIZE));
    CHECK_OK(server, sender_join(sender));
    server_check_payload(server, tag, SIZE, LB_END_EOF);
}

static void check_peer(struct server *server, uint64_t tag, const char *name)
{
    const struct ledger_entry *entry = server_await_tag(server, tag);

    if (strcmp(entry->peer, name) != 0)
        server_give_up(server, __FILE__, __LINE__, "its peer is %s, not %s", entry->peer, name);
}

/* Whoever was turned away hears of it, soon. */
static void check_turned_away(struct server *server, int fd)
{
    int rc = peer_await_eof(fd);

    CHECK(server, rc == 0 || rc == -ECONNRESET);
    close(fd);
}

static void finish(struct server *server, uint64_t streams, uint64_t refused)
{
    server_finish(server);
    CHECK_SAME(server, server->stats.streams, streams);
    CHECK_SAME(server, server->stats.failed_preludes, refused);
    CHECK_SAME(server, server->stats.refused, refused);
    CHECK_SAME(server, server->stats.partial, 0);
}

/* ---- whose connection it is ------------------------------------------------------------------ */

static void of_each_kind(void **state)
{
    struct server *server = *state;
    uint8_t header[FRONT_HEADER_MAX];
    size_t size;

    begin(server, all, 4);
    send_rest(server, connect_as(server, "192.0.2.7", 4711), 1);
    check_peer(server, 1, "192.0.2.7:4711");
    send_rest(server, connect_as(server, "2001:db8::7", 1), 2);
    check_peer(server, 2, "[2001:db8::7]:1");
    size = front_binary(header, "192.0.2.8", 65535);
    send_rest(server, connect_with(server, header, size), 3);
    check_peer(server, 3, "192.0.2.8:65535");
    size = front_add(header, front_binary(header, "2001:db8::8", 2), 4, "any", 3);
    size = front_add_sum(header, size);
    send_rest(server, connect_with(server, header, size), 4);
    check_peer(server, 4, "[2001:db8::8]:2");
    finish(server, 4, 0);
}

/* Header and stream in one write, and all of it there before anybody looks, with the EOF. */
static void with_its_stream_in_one_segment(void **state)
{
    struct server *server = *state;
    uint8_t all_of_it[FRONT_HEADER_MAX + 1000];

    server->config.proxy_protocol = all;
    server_open(server, 2);
    for (uint64_t tag = 1; tag <= 2; tag++) {
        size_t size = tag == 1 ? front_text(all_of_it, "192.0.2.7", 1)
                               : front_binary(all_of_it, "192.0.2.7", 1);
        int fd = server_connect(server);

        payload_fill(tag, 0, all_of_it + size, 1000);
        CHECK_OK(server, peer_send(fd, all_of_it, size + 1000));
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        if (tag == 1)
            server_start(server);
        CHECK_OK(server, peer_await_eof(fd));
        close(fd);
        server_check_payload(server, tag, 1000, LB_END_EOF);
        check_peer(server, tag, "192.0.2.7:1");
    }
    finish(server, 2, 0);
}

/* Each byte alone, up to the stream's first. */
static void send_bytes(struct server *server, const uint8_t *bytes, size_t size, uint64_t tag)
{
    int fd = server_connect(server);
    uint8_t first;

    for (size_t i = 0; i < size; i++) {
        CHECK_OK(server, peer_send(fd, bytes + i, 1));
        if (suite_is_tcp())
            CHECK_OK(server, peer_await_acked(fd));
    }
    payload_fill(tag, 0, &first, 1);
    CHECK_OK(server, peer_send(fd, &first, 1));
    CHECK_OK(server, peer_send_payload(fd, tag, 1, SIZE, SIZE));
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    server_check_payload(server, tag, SIZE, LB_END_EOF);
    check_peer(server, tag, "192.0.2.7:1");
}

static void a_byte_at_a_time(void **state)
{
    struct server *server = *state;
    uint8_t header[FRONT_HEADER_MAX];

    begin(server, all, 2);
    send_bytes(server, header, front_text(header, "192.0.2.7", 1), 1);
    send_bytes(server, header, front_add_sum(header, front_binary(header, "192.0.2.7", 1)), 2);
    finish(server, 2, 0);
}

/* In two parts, a stream for each place where it may be cut. */
static void cut_anywhere(void **state)
{
    struct server *server = *state;
    uint8_t header[FRONT_HEADER_MAX];
    size_t size = front_add_sum(header, front_binary(header, "192.0.2.7", 1));

    begin(server, all, size);
    for (size_t cut = 1; cut < size; cut++) {
        int fd = connect_with(server, header, cut);

        CHECK_OK(server, peer_send(fd, header + cut, size - cut));
        CHECK_OK(server, peer_send_payload(fd, cut, 0, 100, 100));
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        server_check_payload(server, cut, 100, LB_END_EOF);
        check_peer(server, cut, "192.0.2.7:1");
    }
    finish(server, size - 1, 0);
}

/* Of a connection that was accepted elsewhere, where a part of it was read, or more than it. */
static void read_elsewhere(void **state)
{
    enum { PART = 100, STEP = 7, MOST = 40 };
    struct server *server = *state;
    uint8_t bytes[FRONT_HEADER_MAX + PART];
    size_t size = front_text(bytes, "192.0.2.7", 1);

    begin(server, all, MOST);
    for (size_t cut = 0; cut <= size + PART; cut += STEP) {
        uint64_t tag = 1 + cut / STEP;
        int pair[2];

        payload_fill(tag, 0, bytes + size, PART);
        CHECK_SAME(server, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        CHECK_OK(server, lb_engine_adopt(server->engine, pair[0], bytes, cut, NULL));
        CHECK_OK(server, peer_send(pair[1], bytes + cut, size + PART - cut));
        CHECK_OK(server, peer_finish(pair[1], NULL, 0));
        server_check_payload(server, tag, PART, LB_END_EOF);
        check_peer(server, tag, "192.0.2.7:1");
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, 0);
}

/* Then it is the front's own. */
static void of_nobody(void **state)
{
    static const uint8_t paths[216];
    struct server *server = *state;
    uint8_t header[FRONT_HEADER_MAX];
    char name[LB_PEER_SIZE];

    begin(server, all, 4);
    for (uint64_t tag = 1; tag <= 4; tag++) {
        size_t size = 0;
        int fd;

        switch (tag) {
        case 1:
            size = strlen(strcpy((char *)header, "PROXY UNKNOWN\r\n"));
            break;
        case 2:
            size = front_make(header, FRONT_PROXY, 0, NULL, 0);
            break;
        case 3:
            size = front_make(header, FRONT_PROXY, FRONT_UNIX, paths, sizeof(paths));
            break;
        default:
            size = front_make(header, FRONT_LOCAL, 0, NULL, 0);
        }
        fd = connect_with(server, header, size);
        CHECK_OK(server, peer_name(fd, name, sizeof(name)));
        send_rest(server, fd, tag);
        check_peer(server, tag, name);
    }
    finish(server, 4, 0);
}

/* Whoever is no front is served as he is, and what he says about himself is his stream. */
static void of_those_who_are_none(void **state)
{
    struct server *server = *state;
    uint8_t header[FRONT_HEADER_MAX];
    size_t size = front_text(header, "192.0.2.7", 1);
    char name[LB_PEER_SIZE];
    int fd;

    server->config.max_handshakes = 1;
    begin(server, nobody, 2);
    fd = connect_with(server, header, size);
    CHECK_OK(server, peer_name(fd, name, sizeof(name)));
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    server_await_ends(server, 1);
    server_check_bytes(server, 0, header, size, LB_END_EOF);
    CHECK(server, strcmp(server_entry(server, 0)->peer, name) == 0);
    send_rest(server, server_connect(server), 1);
    finish(server, 2, 0);
}

/* ---- health checks --------------------------------------------------------------------------- */

static void leave(struct server *server, int fd, int how)
{
    if (how == 0)
        CHECK_OK(server, peer_finish(fd, NULL, 0));
    else if (how == 1 && suite_is_tcp())
        peer_reset(fd);
    else
        close(fd);
}

/* The front's own address, as version 1 has it. */
static size_t name_itself(struct server *server, int fd, uint8_t header[FRONT_HEADER_MAX])
{
    char name[LB_PEER_SIZE], *port;

    CHECK_OK(server, peer_name(fd, name, sizeof(name)));
    port = strrchr(name, ':');
    *port++ = '\0';
    if (name[0] != '[')
        return front_text(header, name, (uint16_t)atoi(port));
    port[-2] = '\0';
    return front_text(header, name + 1, (uint16_t)atoi(port));
}

static void health_checks(void **state)
{
    struct server *server = *state;
    uint8_t header[FRONT_HEADER_MAX];

    begin(server, all, 1);
    for (int how = 0; how < 3; how++) {
        int fd = server_connect(server);

        leave(server, fd, how);
        leave(server, connect_with(server, header, front_make(header, FRONT_LOCAL, 0, NULL, 0)),
              how);
        fd = server_connect(server);
        if (suite_is_tcp())
            CHECK_OK(server, peer_send(fd, header, name_itself(server, fd, header)));
        leave(server, fd, how);
    }
    send_rest(server, connect_as(server, "192.0.2.7", 1), 1);
    AWAIT(server, server_stats(server).active == 0);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    CHECK(server, server->warnings[0] == '\0');
    finish(server, 1, 0);
    CHECK_SAME(server, server->stats.accepted, 1);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void check_told(struct server *server, const char *what)
{
    if (!strstr(server->warnings, what))
        server_give_up(server, __FILE__, __LINE__, "not told of \"%s\", but: %s", what,
                       server->warnings);
}

static void count_refusal(void *context, const struct lb_outcome *outcome)
{
    uint64_t *count = context;

    if (strcmp(outcome->reason, "proxy") == 0 && outcome->refused && !outcome->stream)
        *count += outcome->count;
}

static uint64_t count_refusals(struct server *server)
{
    uint64_t count = 0;

    CHECK_OK(server, lb_engine_outcomes(server->engine, count_refusal, &count));
    return count;
}

static void refused(struct server *server, const void *bytes, size_t size, const char *why)
{
    char told[100];

    snprintf(told, sizeof(told), ": error: turned away (proxy: %s)", why);
    begin(server, all, 1);
    check_turned_away(server, connect_with(server, bytes, size));
    AWAIT(server, count_refusals(server) == 1);
    send_rest(server, connect_as(server, "192.0.2.7", 1), 1);
    finish(server, 1, 1);
    check_told(server, told);
    server->warnings[0] = '\0';
}

static void what_is_no_header(void **state)
{
    static const char malformed[] = "PROXY TCP4 192.0.2.7 203.0.113.1 1 99999\r\nand a stream";
    static const char plain[] = "a stream without a header";
    static const uint8_t zeros[5000];
    struct server *server = *state;
    uint8_t bytes[FRONT_HEADER_MAX];
    size_t size;

    refused(server, plain, sizeof(plain), "no PROXY header");
    refused(server, malformed, sizeof(malformed), "malformed");
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "PROXY UNKNOWN ", 14);
    refused(server, bytes, 200, "too long");
    size = front_make(bytes, FRONT_PROXY, FRONT_TCP4, zeros, sizeof(zeros));
    refused(server, bytes, size, "too long");
    size = front_add_sum(bytes, front_binary(bytes, "192.0.2.7", 1));
    bytes[FRONT_FIXED + 3]++;
    refused(server, bytes, size, "wrong CRC32C");
}

static void what_is_cut_off(void **state)
{
    struct server *server = *state;

    begin(server, all, 1);
    for (size_t cut = 1; cut < 20; cut++) {
        uint8_t header[FRONT_HEADER_MAX];
        int fd;

        (void)front_binary(header, "192.0.2.7", 1);
        fd = connect_with(server, header, cut);
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        check_turned_away(server, fd);
    }
    finish(server, 0, 19);
    check_told(server, ": reset: turned away (proxy: cut off)");
}

/* Neither silence nor a byte now and then keeps a place for long; a local one has to begin, too. */
static void who_is_too_slow(void **state)
{
    struct server *server = *state;
    uint8_t header[FRONT_HEADER_MAX];
    int silent, slow, local;
    size_t size;

    server->config.handshake_timeout_ms = 100;
    begin(server, all, 1);
    silent = server_connect(server);
    local = server_connect(server);
    CHECK_OK(server, peer_send(local, header, front_make(header, FRONT_LOCAL, 0, NULL, 0)));
    slow = server_connect(server);
    size = front_text(header, "192.0.2.7", 1);
    for (size_t i = 0; server_stats(server).refused < 3; i++) {
        (void)peer_send(slow, header + i % (size - 1), i < size - 1);
        time_nap();
    }
    check_turned_away(server, silent);
    check_turned_away(server, local);
    check_turned_away(server, slow);
    finish(server, 0, 3);
    check_told(server, ": timeout: turned away (proxy: handshake-timeout)");
}

/* ---- who may come in ------------------------------------------------------------------------- */

/* It is not the front that is asked about. */
static void the_real_peer_is_denied(void **state)
{
    static const char *const deny[] = {"192.0.2.0/24", "127.0.0.0/8", "::1", NULL};
    static const char refusal[] = "error limit:denied 0\n";
    struct server *server = *state;
    char line[sizeof(refusal)] = "";
    int fd;

    server->config.deny = deny;
    server->config.receipt = "xxh3";
    begin(server, all, 1);
    fd = connect_as(server, "192.0.2.77", 4711);
    CHECK_OK(server, peer_receive(fd, line, sizeof(refusal) - 1));
    CHECK(server, strcmp(line, refusal) == 0);
    check_turned_away(server, fd);
    send_rest(server, connect_as(server, "203.0.113.1", 1), 1);
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, 1);
    CHECK_SAME(server, server->stats.failed_preludes, 0);
    check_told(server, "from 192.0.2.77:4711: limit: turned away (denied)");
}

static void so_many_of_a_real_peer(void **state)
{
    struct server *server = *state;
    int first;

    server->config.max_streams_per_peer = 1;
    begin(server, all, 5);
    first = connect_as(server, "192.0.2.1", 1);
    CHECK_OK(server, peer_send_payload(first, 1, 0, PAYLOAD_TAG_SIZE, SIZE));
    server_await_tag(server, 1);
    check_turned_away(server, connect_as(server, "192.0.2.1", 2));
    send_rest(server, connect_as(server, "192.0.2.2", 1), 2);
    CHECK_OK(server, peer_finish(first, NULL, 0));
    AWAIT(server, server_stats(server).active == 0);
    send_rest(server, connect_as(server, "192.0.2.1", 3), 3);
    AWAIT(server, server_stats(server).active == 0);
    /* One network of IPv6 is one peer. */
    first = connect_as(server, "2001:db8::1", 1);
    CHECK_OK(server, peer_send_payload(first, 4, 0, PAYLOAD_TAG_SIZE, SIZE));
    server_await_tag(server, 4);
    check_turned_away(server, connect_as(server, "2001:db8::2", 1));
    send_rest(server, connect_as(server, "2001:db8:0:1::1", 1), 5);
    CHECK_OK(server, peer_finish(first, NULL, 0));
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, 2);
    check_told(server, "from 192.0.2.1:2: limit: turned away (per-peer)");
}

/* Who may use a Unix socket is the front, whoever it says that it comes for. */
static void a_front_of_another_user(void **state)
{
    struct server *server = *state;
    const uid_t uids[] = {geteuid() + 1};

    server->config.allow_uids = uids;
    server->config.allow_uid_count = 1;
    server->config.receipt = "xxh3";
    begin(server, all, 1);
    for (uint64_t i = 1; i <= 3; i++) {
        uint8_t header[FRONT_HEADER_MAX];
        int fd = server_connect(server);

        (void)peer_send(fd, header, front_text(header, "192.0.2.1", 1));
        /* Who has not come through the filters would not understand a receipt. */
        CHECK(server, peer_receive(fd, header, 1) != 0);
        check_turned_away(server, fd);
    }
    AWAIT(server, server_stats(server).refused == 3);
    server_finish(server);
    CHECK_SAME(server, server->stats.failed_preludes, 0);
    check_told(server, ": limit: turned away (uid)");
}

const struct test_case fronts_cases[] = {
    {"front_of_each_kind", of_each_kind, FAMILY_ANY, 0},
    {"front_in_one_segment", with_its_stream_in_one_segment, FAMILY_ANY, 0},
    {"front_a_byte_at_a_time", a_byte_at_a_time, FAMILY_ANY, 0},
    {"front_cut_anywhere", cut_anywhere, FAMILY_ANY, 0},
    {"front_read_elsewhere", read_elsewhere, FAMILY_ANY, 0},
    {"front_of_nobody", of_nobody, FAMILY_ANY, 0},
    {"front_and_others", of_those_who_are_none, FAMILY_ANY, 0},
    {"front_health_checks", health_checks, FAMILY_ANY, 0},
    {"front_no_header", what_is_no_header, FAMILY_ANY, 0},
    {"front_cut_off", what_is_cut_off, FAMILY_ANY, 0},
    {"front_too_slow", who_is_too_slow, FAMILY_ANY, 0},
    {"front_names_a_denied_peer", the_real_peer_is_denied, FAMILY_ANY, 0},
    {"front_names_a_known_peer", so_many_of_a_real_peer, FAMILY_ANY, 0},
    {"front_of_another_user", a_front_of_another_user, FAMILY_UNIX, 0},
    {NULL, NULL, 0, 0},
};
