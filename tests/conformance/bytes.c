/* SPDX-License-Identifier: MIT */
/* Every byte arrives, whatever the sizes. */
#include "suite.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void empty_stream(void **state)
{
    struct server *server = *state;

    server_begin(server, 2);
    CHECK_OK(server, peer_finish(server_connect(server), NULL, 0));
    server_await_ends(server, 1);
    close(server_connect(server));
    server_await_ends(server, 2);
    server_check_bytes(server, 0, "", 0, LB_END_EOF);
    server_check_bytes(server, 1, "", 0, LB_END_EOF);
    server_finish(server);
}

static void one_byte(void **state)
{
    struct server *server = *state;

    server_begin(server, 1);
    CHECK_OK(server, peer_finish(server_connect(server), "\0", 1));
    server_check_bytes(server, 0, "\0", 1, LB_END_EOF);
    server_finish(server);
}

/* The textbook's client. */
static void hello_world(void **state)
{
    static const char hello[] = "hello, world!";
    struct server *server = *state;
    int fd;

    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, hello, strlen(hello)));
    close(fd);
    server_await_ends(server, 1);
    server_check_bytes(server, 0, hello, strlen(hello), LB_END_EOF);
    server_finish(server);
}

/* Streams that end just before, at and just behind the edge of a slot, of two, and of the pool. */
static void slot_edges(void **state)
{
    enum { SLOT_SIZE = 16384, SLOTS = 4 };
    static const size_t multiples[] = {1, 2, SLOTS};
    struct server *server = *state;
    uint64_t tag = 0;

    server->config.slot_size = SLOT_SIZE;
    server->config.slots = SLOTS;
    server_begin(server, 9);
    for (size_t i = 0; i < sizeof(multiples) / sizeof(multiples[0]); i++) {
        for (size_t size = multiples[i] * SLOT_SIZE - 1; size <= multiples[i] * SLOT_SIZE + 1;
             size++) {
            int fd = server_connect(server);

            CHECK_OK(server, peer_send_payload(fd, ++tag, 0, size, size));
            CHECK_OK(server, peer_finish(fd, NULL, 0));
            server_check_payload(server, tag, size, LB_END_EOF);
        }
    }
    server_finish(server);
}

/* The same edges, met byte by byte: each byte is a chunk of its own, or shares one. */
static void slot_edge_bytewise(void **state)
{
    enum { SLOT_SIZE = 4096, SIZE = SLOT_SIZE + 1 };
    struct server *server = *state;
    int fd, one = 1;

    server->config.slot_size = SLOT_SIZE;
    server->config.slots = 2;
    server_begin(server, 1);
    fd = server_connect(server);
    if (suite_is_tcp())
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    CHECK_OK(server, peer_send_payload(fd, 1, 0, PAYLOAD_TAG_SIZE, PAYLOAD_TAG_SIZE));
    CHECK_OK(server, peer_send_payload(fd, 1, PAYLOAD_TAG_SIZE, SIZE, 1));
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    server_finish(server);
}

static void random_writes(void **state)
{
    const uint64_t size = (uint64_t)scale_count(64, 16) << 20;
    struct server *server = *state;
    struct sender *sender;

    server_begin(server, 1);
    CHECK_OK(server, sender_start(&sender, server_connect(server), 1, size, 256 << 10));
    CHECK_OK(server, sender_join(sender));
    server_check_payload(server, 1, size, LB_END_EOF);
    server_finish(server);
}

/* ---- a size that 32 bits cannot hold -------------------------------------------------------- */

enum { BLOCK_SIZE = 1 << 20 };
static const uint64_t huge_size = (UINT64_C(4) << 30) + 12345;

/* A block's bytes are the same in each but for its number at the front. */
static uint8_t *make_block(void)
{
    uint8_t *block = malloc(BLOCK_SIZE);

    payload_fill(7, 0, block, BLOCK_SIZE);
    return block;
}

static uint8_t *expected_block;

/* Compares each chunk with what must be at its position. */
static ssize_t check_position(struct ledger_entry *entry, struct lb_stream *stream,
                              const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t at = lb_stream_bytes(stream);
    size_t left = size;

    while (left > 0) {
        const uint64_t number = at / BLOCK_SIZE;
        const size_t skip = at % BLOCK_SIZE;
        const size_t part = BLOCK_SIZE - skip < left ? BLOCK_SIZE - skip : left;

        memcpy(expected_block, &number, sizeof(number));
        if (memcmp(bytes, expected_block + skip, part) != 0)
            ledger_complain(entry->ledger, "wrong bytes between %" PRIu64 " and %" PRIu64, at,
                            at + part);
        bytes += part;
        at += part;
        left -= part;
    }
    return (ssize_t)size;
}

static int send_huge(int fd)
{
    uint8_t *block = make_block();
    int error = 0;

    for (uint64_t number = 0; number * BLOCK_SIZE < huge_size && error == 0; number++) {
        const uint64_t left = huge_size - number * BLOCK_SIZE;

        memcpy(block, &number, sizeof(number));
        error = peer_send(fd, block, left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE);
    }
    free(block);
    return error;
}

static void over_4_gib(void **state)
{
    struct server *server = *state;
    int fd;

    if (scale_small())
        skip();
    server->ledger.plain = true;
    server->ledger.hooks.write = check_position;
    expected_block = make_block();
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, send_huge(fd));
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    CHECK_SAME(server, atomic_load(&server_entry(server, 0)->bytes), huge_size);
    CHECK_SAME(server, server_entry(server, 0)->end, LB_END_EOF);
    server_finish(server);
    CHECK_SAME(server, server->stats.bytes, huge_size);
    free(expected_block);
}

/* ---- names and places ----------------------------------------------------------------------- */

static void peer_names(void **state)
{
    struct server *server = *state;
    char name[LB_PEER_SIZE];

    server_begin(server, 3);
    for (size_t i = 0; i < 3; i++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_name(fd, name, sizeof(name)));
        CHECK_OK(server, peer_finish(fd, name, strlen(name)));
        server_check_bytes(server, i, name, strlen(name), LB_END_EOF);
        assert_string_equal(server_entry(server, i)->peer, name);
        CHECK_SAME(server, server_entry(server, i)->id, i + 1);
    }
    server_finish(server);
}

static void two_addresses(void **state)
{
    struct server *server = *state;
    char second[256];

    snprintf(second, sizeof(second), "unix:%s/second", suite.directory);
    server->listen[1] = second;
    server_open(server, 20);
    CHECK(server, lb_engine_address(server->engine, 1) != NULL);
    CHECK(server, lb_engine_address(server->engine, 2) == NULL);
    server_start(server);
    for (uint64_t tag = 1; tag <= 20; tag++) {
        int fd = peer_connect(lb_engine_address(server->engine, tag % 2));

        CHECK(server, fd >= 0);
        CHECK_OK(server, peer_send_payload(fd, tag, 0, 1000 * tag, 1000));
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        server_check_payload(server, tag, 1000 * tag, LB_END_EOF);
    }
    server_finish(server);
}

/* lb_connect reaches what lb_engine_address names. */
static void connect_by_name(void **state)
{
    struct server *server = *state;
    struct lb_error error = {LB_ERROR_INIT};
    int fd;

    server_begin(server, 1);
    fd = lb_connect(server->address, patience_ms(), &error);
    if (fd < 0)
        server_give_up(server, __FILE__, __LINE__, "lb_connect: %s", error.text);
    CHECK_OK(server, peer_finish(fd, "abc", 3));
    server_check_bytes(server, 0, "abc", 3, LB_END_EOF);
    server_finish(server);
}

const struct test_case bytes_cases[] = {
    {"empty_stream", empty_stream, FAMILY_ANY, 0},
    {"one_byte", one_byte, FAMILY_ANY, 0},
    {"hello_world", hello_world, FAMILY_ANY, 0},
    {"slot_edges", slot_edges, FAMILY_ANY, 0},
    {"slot_edge_bytewise", slot_edge_bytewise, FAMILY_ANY, 0},
    {"random_writes", random_writes, FAMILY_ANY, 0},
    {"over_4_gib", over_4_gib, FAMILY_ANY, 0},
    {"peer_names", peer_names, FAMILY_ANY, 0},
    {"two_addresses", two_addresses, FAMILY_ANY, 0},
    {"connect_by_name", connect_by_name, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
