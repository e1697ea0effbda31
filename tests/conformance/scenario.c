/* SPDX-License-Identifier: MIT */
/* One seeded scenario, one table of what must come of it, whatever the backend and the family. */
#include "suite.h"

#include <sys/socket.h>
#include <unistd.h>

enum manner {
    HALF_CLOSE,   /* the peer half-closes and waits for the server's EOF */
    CLOSE,        /* it closes once it has sent everything and read the greeting */
    LEAVE_UNREAD, /* it closes with the greeting unread, which resets */
};

static const struct row {
    uint64_t sent;
    enum manner manner;
    uint64_t fails_at; /* the sink takes so much and then fails; 0: never */
    uint64_t bytes;
    enum lb_end end;
    uint64_t digest[2]; /* XXH3 of 128 bits, low and high, of what the sink took */
} rows[] = {
    /* clang-format off */
    {8, HALF_CLOSE, 0, 8, LB_END_EOF, {0xbc08dc21994df8a2, 0xbdc94bce2eda264d}},
    {9, CLOSE, 0, 9, LB_END_EOF, {0x765518f2c66fd909, 0x15b6637cb612d083}},
    {10, LEAVE_UNREAD, 0, 10, LB_END_RESET, {0xb22a0ceb252c2a7a, 0x5e0a74cbddef1895}},
    {4095, HALF_CLOSE, 0, 4095, LB_END_EOF, {0x96dbf93d2cca5598, 0x5bb7880e5985a86d}},
    {4096, CLOSE, 0, 4096, LB_END_EOF, {0x428014afdd877887, 0xe28132fbb383976a}},
    {4097, LEAVE_UNREAD, 0, 4097, LB_END_RESET, {0xb5fdb7594849a584, 0x7d33f09581f06e88}},
    {65537, HALF_CLOSE, 0, 65537, LB_END_EOF, {0xe7f2dba29e442f1b, 0xa64a36e68c4b211f}},
    {100000, LEAVE_UNREAD, 0, 100000, LB_END_RESET, {0x08dc0874d6d53c62, 0x35e22e467cb8fb73}},
    {100000, HALF_CLOSE, 50000, 50000, LB_END_SINK, {0x0c145d5941620774, 0x0630948e0d975178}},
    {131071, CLOSE, 0, 131071, LB_END_EOF, {0x59860bad0485c761, 0x8576c0b3fcfb6462}},
    {262144, HALF_CLOSE, 0, 262144, LB_END_EOF, {0x6226494d84064ce3, 0x8717cd4e7a9fb719}},
    {300000, HALF_CLOSE, 8, 8, LB_END_SINK, {0x5b6897f10aea775e, 0x7f934485d1e1fe48}},
    {500001, LEAVE_UNREAD, 0, 500001, LB_END_RESET, {0x0c5899cef5dc8519, 0x40e13e7452177631}},
    {1000000, HALF_CLOSE, 0, 1000000, LB_END_EOF, {0x5e972fea7749844b, 0x2e504893591c0d00}},
    {1048577, CLOSE, 0, 1048577, LB_END_EOF, {0xbc3fa607c8a6d948, 0x0f31387834d7315e}},
    {3000000, HALF_CLOSE, 2999999, 2999999, LB_END_SINK, {0xc81946b3a8ff3b64, 0xbcfd74c9ea18fbfd}},
    /* clang-format on */
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char greeting[] = "hi\n";
enum { GREETING_SIZE = sizeof(greeting) - 1 };

/* A peer's tag is its row's number, from 1. */
static const struct row *row_of(uint64_t tag)
{
    return &rows[tag - 1];
}

/* Takes exactly so much as the row says before it fails. Every third stream pauses now and then. */
static ssize_t take_as_row_says(struct ledger_entry *entry, struct lb_stream *stream,
                                const void *data, size_t size)
{
    const uint64_t taken = lb_stream_bytes(stream);
    uint64_t fails_at;
    size_t part = size;
    int error = 0;

    (void)data;
    if (entry->tag == 0)
        return (ssize_t)size; /* less than a tag */
    fails_at = row_of(entry->tag)->fails_at;
    if (fails_at > 0 && taken == fails_at)
        return -ENOSPC;
    if (entry->tag % 3 == 0 && part > 30011)
        part = 30011;
    if (fails_at > 0 && part > fails_at - taken)
        part = (size_t)(fails_at - taken);
    if (part < size)
        error = ledger_watch_gate(entry, stream); /* open all the time */
    return error ? error : (ssize_t)part;
}

struct actor {
    int fd;
    uint64_t tag, sent;
    bool done;
};

static void actor_leave(struct server *server, struct actor *actor)
{
    char text[GREETING_SIZE];
    bool fails = row_of(actor->tag)->fails_at > 0;

    switch (row_of(actor->tag)->manner) {
    case HALF_CLOSE:
        if (shutdown(actor->fd, SHUT_WR) == 0 && peer_await_eof(actor->fd) != 0)
            CHECK(server, fails);
        break;
    case CLOSE:
        CHECK_OK(server, peer_receive(actor->fd, text, GREETING_SIZE));
        break;
    case LEAVE_UNREAD:
        CHECK_SAME(server, recv(actor->fd, text, GREETING_SIZE, MSG_PEEK | MSG_WAITALL),
                   GREETING_SIZE);
        if (suite_is_tcp())
            CHECK_OK(server, peer_await_acked(actor->fd));
        break;
    }
    close(actor->fd);
    actor->done = true;
}

static void actor_send(struct server *server, struct actor *actor, uint64_t *random)
{
    const struct row *row = row_of(actor->tag);
    uint64_t part = random_between(random, PAYLOAD_TAG_SIZE, 60000);
    int error;

    if (part > row->sent - actor->sent)
        part = row->sent - actor->sent;
    error = peer_send_payload(actor->fd, actor->tag, actor->sent, actor->sent + part, part);
    CHECK(server, error == 0 || row->fails_at > 0);
    actor->sent = error ? row->sent : actor->sent + part;
    if (actor->sent == row->sent)
        actor_leave(server, actor);
}

static void run_actors(struct server *server)
{
    struct actor actors[ROWS];
    uint64_t random = 20240229;

    for (uint64_t i = 0; i < ROWS; i++)
        actors[i] = (struct actor){.fd = server_connect(server), .tag = i + 1};
    for (size_t left = ROWS; left > 0;) {
        struct actor *actor = &actors[random_between(&random, 0, ROWS - 1)];

        if (actor->done)
            continue;
        actor_send(server, actor, &random);
        left -= actor->done;
    }
}

static void check_row(struct server *server, uint64_t tag)
{
    const struct row *row = row_of(tag);
    const struct ledger_entry *entry = server_await_tag(server, tag);

    CHECK_SAME(server, atomic_load(&entry->bytes), row->bytes);
    CHECK_SAME(server, entry->end, row->end);
    if (entry->digest.low64 != row->digest[0] || entry->digest.high64 != row->digest[1])
        server_give_up(server, __FILE__, __LINE__,
                       "row %" PRIu64 " has the digest {0x%016" PRIx64 ", 0x%016" PRIx64 "}", tag,
                       (uint64_t)entry->digest.low64, (uint64_t)entry->digest.high64);
}

static void scenario(void **state)
{
    struct server *server = *state;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = take_as_row_says;
    server->config.greeting = greeting;
    server->config.greeting_size = GREETING_SIZE;
    gate_open(&server->ledger.gate);
    server_begin(server, ROWS);
    run_actors(server);
    server_await_ends(server, ROWS);
    for (uint64_t tag = 1; tag <= ROWS; tag++)
        check_row(server, tag);
    server_finish(server);
    CHECK_SAME(server, server->stats.accepted, 16);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 9);
    CHECK_SAME(server, server->stats.ends[LB_END_RESET], 4);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], 3);
    CHECK_SAME(server, server->stats.partial, 7);
}

const struct test_case scenario_cases[] = {
    {"scenario", scenario, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
