/* SPDX-License-Identifier: MIT */
/* Connections that close without a byte, which are no streams where that is asked for. */
#include "suite.h"

#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 100000, CHECKS = 20, SHORT_MS = 100 };

static void be_empty(struct server *server, bool by_reset)
{
    int fd = server_connect(server);

    if (by_reset)
        CHECK_OK(server, peer_reset(fd));
    else
        close(fd);
}

static void be_served(struct server *server, uint64_t tag, size_t size)
{
    struct sender *sender;

    CHECK_OK(server, sender_start(&sender, server_connect(server), tag, size, size));
    CHECK_OK(server, sender_join(sender));
    server_check_payload(server, tag, size, LB_END_EOF);
}

static void await_empty(struct server *server, uint64_t count)
{
    AWAIT(server, server_stats(server).empty == count);
}

static void port_checks_are_no_streams(void **state)
{
    struct server *server = *state;

    server->config.ignore_empty = true;
    server->config.count = 2;
    server_begin(server, 2);
    for (int i = 0; i < CHECKS; i++)
        be_empty(server, i % 2);
    await_empty(server, CHECKS);
    be_served(server, 1, PAYLOAD_TAG_SIZE);
    be_empty(server, false);
    await_empty(server, CHECKS + 1);
    be_served(server, 2, SIZE);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_finish(server);
    CHECK_SAME(server, server->stats.streams, 2);
    CHECK_SAME(server, server->stats.empty, CHECKS + 1);
    CHECK_SAME(server, server->warnings[0], 0);
}

static void they_are_streams_otherwise(void **state)
{
    struct server *server = *state;

    server_begin(server, 1);
    be_empty(server, false);
    server_await_ends(server, 1);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 1);
    CHECK_SAME(server, server->stats.empty, 0);
}

/* The greeting is what such a peer waits for. */
static void a_greeting_comes_before_the_first_byte(void **state)
{
    struct server *server = *state;
    char greeting[5];
    int fd;

    server->config.ignore_empty = true;
    server->config.greeting = "hello";
    server->config.greeting_size = sizeof(greeting);
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_receive(fd, greeting, sizeof(greeting)));
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 0);
    CHECK_OK(server, peer_send(fd, "x", 1));
    CHECK_OK(server, shutdown(fd, SHUT_WR));
    server_await_ends(server, 1);
    close(fd);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 1);
}

/* A peer who says nothing is held by the limits as a stream is, and by a stop. */
static void the_silent_are_let_go(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.ignore_empty = true;
    server->config.idle_timeout_ms = SHORT_MS;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    server_finish(server);
    CHECK_SAME(server, server->stats.empty, 1);
    server->config.idle_timeout_ms = 0;
    server_begin(server, 1);
    fd = server_connect(server);
    AWAIT(server, server_stats(server).active == 1);
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    server_finish(server);
    CHECK_SAME(server, server->stats.empty, 1);
    CHECK_SAME(server, server->stats.streams, 0);
}

/* They make room for those who wait. */
static void they_have_a_place_while_they_are_there(void **state)
{
    struct server *server = *state;
    struct sender *sender;
    int fd;

    server->config.ignore_empty = true;
    server->config.max_streams = 1;
    server->config.count = 1;
    server_begin(server, 1);
    fd = server_connect(server);
    AWAIT(server, server_stats(server).active == 1);
    CHECK_OK(server, sender_start(&sender, server_connect(server), 1, SIZE, SIZE));
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 0);
    close(fd);
    CHECK_OK(server, sender_join(sender));
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_finish(server);
    CHECK_SAME(server, server->stats.empty, 1);
}

const struct test_case empty_cases[] = {
    {"port_checks_are_no_streams", port_checks_are_no_streams, FAMILY_ANY, 0},
    {"they_are_streams_otherwise", they_are_streams_otherwise, FAMILY_ANY, 0},
    {"a_greeting_comes_before_the_first_byte", a_greeting_comes_before_the_first_byte, FAMILY_ANY,
     0},
    {"the_silent_are_let_go", the_silent_are_let_go, FAMILY_ANY, 0},
    {"they_have_a_place_while_they_are_there", they_have_a_place_while_they_are_there, FAMILY_ANY,
     0},
    {NULL, NULL, 0, 0},
};
