/* SPDX-License-Identifier: MIT */
/* How many streams: in all, and at once. */
#include "suite.h"

#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 50000 };

static void count_in_a_row(void **state)
{
    enum { COUNT = 5 };
    struct server *server = *state;

    server->config.count = COUNT;
    server_begin(server, COUNT);
    for (uint64_t tag = 1; tag <= COUNT; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, tag, 0, SIZE, SIZE));
        CHECK_SAME(server, lb_engine_wait(server->engine, 0), -ETIMEDOUT);
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    }
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_finish(server);
    CHECK_SAME(server, server->stats.streams, COUNT);
}

/* Streams that were begun when the count is reached may end as well; none is lost. */
static void count_at_once(void **state)
{
    enum { COUNT = 5, PEERS = 12 };
    struct server *server = *state;
    int fds[PEERS];

    server->config.count = COUNT;
    server_open(server, PEERS);
    for (uint64_t i = 0; i < PEERS; i++) {
        fds[i] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[i], i + 1, 0, 20000, 20000));
        CHECK_SAME(server, shutdown(fds[i], SHUT_WR), 0);
    }
    server_start(server);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
    for (size_t i = 0; i < atomic_load(&server->ledger.opened); i++)
        server_check_payload(server, server_entry(server, i)->tag, 20000, LB_END_EOF);
    server_finish(server);
    CHECK(server, server->stats.ends[LB_END_EOF] >= COUNT);
    CHECK(server, server->stats.ends[LB_END_EOF] <= PEERS);
}

/* The stream that is open, has a tag, and is none of those that were let go; NULL if none is. */
static struct ledger_entry *next_open(struct server *server, const int *fds)
{
    for (size_t i = 0; i < atomic_load(&server->ledger.opened); i++) {
        struct ledger_entry *entry = server_entry(server, i);

        if (atomic_load(&entry->phase) == LEDGER_OPEN && atomic_load(&entry->bytes) == SIZE &&
            fds[entry->tag] >= 0)
            return entry;
    }
    return NULL;
}

/* Ten peers, of which two may be served at a time. Some have sent everything and left before their
 * turn comes. */
static void max_streams(void **state)
{
    enum { LIMIT = 2, PEERS = 10 };
    struct server *server = *state;
    int fds[PEERS + 1] = {-1};
    struct ledger_entry *entry;

    server->config.max_streams = LIMIT;
    server_begin(server, PEERS + 5);
    for (uint64_t tag = 1; tag <= PEERS; tag++) {
        fds[tag] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[tag], tag, 0, SIZE, SIZE));
    }
    AWAIT(server, atomic_load(&server->ledger.under_way) == LIMIT);
    for (int left = PEERS; left > 0; left--) {
        AWAIT(server, (entry = next_open(server, fds)) != NULL);
        CHECK(server, server_stats(server).active <= LIMIT);
        CHECK_OK(server, peer_finish(fds[entry->tag], NULL, 0));
        fds[entry->tag] = -1;
    }
    for (uint64_t tag = 1; tag <= PEERS; tag++)
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    CHECK_SAME(server, atomic_load(&server->ledger.most_under_way), LIMIT);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], PEERS);
}

/* Peers who have sent all and left while they waited in the backlog are served all the same. */
static void max_streams_impatient(void **state)
{
    enum { LIMIT = 2, PEERS = 10, SMALL = 20000 };
    struct server *server = *state;
    int holders[LIMIT + 1];

    server->config.max_streams = LIMIT;
    server_begin(server, PEERS + LIMIT);
    for (uint64_t tag = 1; tag <= LIMIT; tag++) {
        holders[tag] = server_connect(server);
        CHECK_OK(server, peer_send_payload(holders[tag], tag, 0, SIZE, SIZE));
        server_await_tag(server, tag);
    }
    for (uint64_t tag = LIMIT + 1; tag <= LIMIT + PEERS; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, tag, 0, SMALL, SMALL));
        close(fd);
    }
    CHECK_SAME(server, atomic_load(&server->ledger.opened), LIMIT);
    for (int tag = 1; tag <= LIMIT; tag++)
        CHECK_OK(server, peer_finish(holders[tag], NULL, 0));
    server_await_ends(server, LIMIT + PEERS);
    for (uint64_t tag = 1; tag <= LIMIT + PEERS; tag++)
        server_check_payload(server, tag, tag <= LIMIT ? SIZE : SMALL, LB_END_EOF);
    CHECK_SAME(server, atomic_load(&server->ledger.most_under_way), LIMIT);
    server_finish(server);
}

/* Stopped while peers wait for their turn: they have no stream yet, or one that is stopped. */
static void max_streams_stopped(void **state)
{
    enum { PEERS = 5 };
    struct server *server = *state;
    int fds[PEERS];

    server->config.max_streams = 1;
    server->config.drain_ms = LB_NO_DRAIN;
    server_begin(server, PEERS);
    for (uint64_t i = 0; i < PEERS; i++) {
        fds[i] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[i], i + 1, 0, 20000, 20000));
    }
    AWAIT(server, atomic_load(&server->ledger.under_way) == 1);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 1);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 0);
}

const struct test_case limits_cases[] = {
    {"count_in_a_row", count_in_a_row, FAMILY_ANY, 0},
    {"count_at_once", count_at_once, FAMILY_ANY, 0},
    {"max_streams", max_streams, FAMILY_ANY, 0},
    {"max_streams_impatient", max_streams_impatient, FAMILY_ANY, 0},
    {"max_streams_stopped", max_streams_stopped, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
