/* SPDX-License-Identifier: MIT */
/* Filters that change bytes, in front of every kind of sink. */
#include "filtered_suite.h"
#include "test_filters.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const char greeting[] = "hello\n";

/* ---- bytes ----------------------------------------------------------------------------------- */

static void less_comes_out(void **state)
{
    struct server *server = *state;

    filtered_begin(server, FILTER_HALVE, 3);
    for (uint64_t tag = 1; tag <= 3; tag++) {
        int fd = server_connect(server);

        filtered_send(server, fd, tag, 0);
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        server_check_payload(server, tag, FILTERED_SIZE, LB_END_EOF);
    }
    server_finish(server);
}

static void more_comes_out(void **state)
{
    struct server *server = *state;
    uint8_t *payload = malloc(FILTERED_SIZE), *pairs = malloc(2 * FILTERED_SIZE);

    CHECK(server, payload && pairs);
    payload_fill(1, 0, payload, FILTERED_SIZE);
    pairs_make(payload, FILTERED_SIZE, pairs);
    filtered_begin(server, FILTER_DOUBLE, 1);
    CHECK_OK(server, peer_finish(server_connect(server), payload, FILTERED_SIZE));
    server_check_bytes(server, 0, pairs, 2 * FILTERED_SIZE, LB_END_EOF);
    free(payload);
    free(pairs);
    server_finish(server);
}

/* A slot that is larger than what a filter may make at a time, and one that would be too small. For
 * a sink that may pause there is one slot more for each stream that there may be: few here, so that
 * all of them fit into the addresses of a machine of 32 bits. */
static void slots_of_any_size(void **state)
{
    static const size_t sizes[] = {4096, 1 << 20};
    struct server *server = *state;

    for (uint64_t i = 0; i < 4; i++) {
        struct sender *sender;

        server->config.slot_size = sizes[i % 2];
        server->config.max_streams = 16;
        server->sink.flags = i < 2 ? LB_SINK_MAY_PAUSE : 0;
        filtered_begin(server, FILTER_PAIR, 1);
        CHECK_OK(server, sender_start(&sender, server_connect(server), i + 1, FILTERED_SIZE,
                                      FILTERED_SIZE));
        CHECK_OK(server, sender_join(sender));
        server_check_payload(server, i + 1, FILTERED_SIZE, LB_END_EOF);
        server_finish(server);
    }
}

static void malformed_bytes(void **state)
{
    struct server *server = *state;
    uint8_t data[] = {'a', 'a' ^ 0xff, 'b', 'b'};
    int fd;

    filtered_begin(server, FILTER_HALVE, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, data, sizeof(data)));
    server_await_ends(server, 1);
    close(fd);
    server_check_bytes(server, 0, "a", 1, LB_END_ERROR);
    CHECK(server, strcmp(server_entry(server, 0)->why, "no pair") == 0);
    server_finish(server);
    CHECK(server, strstr(server->warnings, ": error after 1 bytes (no pair)"));
}

/* ---- the way back ---------------------------------------------------------------------------- */

/* What was heard in pairs. */
static void unpair(struct server *server, char *heard, size_t size)
{
    CHECK_SAME(server, size % 2, 0);
    for (size_t i = 0; i < size / 2; i++) {
        CHECK(server, (heard[2 * i] ^ heard[2 * i + 1]) == -1);
        heard[i] = heard[2 * i];
    }
    heard[size / 2] = '\0';
}

static int answer(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    if (end == LB_END_EOF && lb_stream_say(stream, "thanks\n", 7) != 7)
        ledger_complain(entry->ledger, "the answer was not taken");
    return 0;
}

/* Greeting, answer, receipt, and the filter's last word, in this order. */
static void all_is_said_through_filters(void **state)
{
    struct server *server = *state;
    char heard[FILTERED_HEARD];
    size_t size;
    int fd;

    server->config.greeting = greeting;
    server->config.greeting_size = strlen(greeting);
    server->config.receipt = "xxh3";
    server->ledger.hooks.end = answer;
    filtered_begin(server, FILTER_HALVE | FILTER_JUDGE, 1);
    fd = server_connect(server);
    filtered_send(server, fd, 1, 'W');
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    size = filtered_hear(server, fd, heard);
    unpair(server, heard, size);
    size /= 2;
    CHECK(server, strncmp(heard, "hello\nthanks\nok 300001 xxh3:", 28) == 0);
    CHECK(server, size > 32 && strcmp(heard + size - 5, "\nbye\n") == 0);
    server_check_payload(server, 1, FILTERED_SIZE, LB_END_EOF);
    server_finish(server);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* It is the session's bytes that are limited, however much or little came. */
static void a_limit_by_bytes(void **state)
{
    enum { MOST = 100000 };
    static const unsigned filters[] = {FILTER_HALVE, FILTER_PAIR};
    struct server *server = *state;

    server->config.max_bytes = MOST;
    for (size_t i = 0; i < 4; i++) {
        struct ledger_entry *entry;
        uint8_t *data;
        size_t size;
        int fd;

        if (i >= 2)
            filtered_use_sips(server);
        filtered_begin(server, filters[i % 2], 2);
        /* One byte less than too many is a whole stream. */
        for (size_t more = 0; more < 2; more++) {
            fd = server_connect(server);
            data = filtered_encode(server, 2 * i + more + 1, MOST + more, 0, &size);
            CHECK_OK(server, peer_send(fd, data, size));
            free(data);
            shutdown(fd, SHUT_WR);
            (void)peer_await_eof(fd);
            close(fd);
            entry = server_await_tag(server, 2 * i + more + 1);
            AWAIT(server, atomic_load(&entry->phase) == LEDGER_ENDED);
            server_check_payload(server, 2 * i + more + 1, MOST, more ? LB_END_LIMIT : LB_END_EOF);
        }
        server_finish(server);
    }
}

/* ---- by descriptor --------------------------------------------------------------------------- */

/* A sink that is only a descriptor, or has memory of its own. */
struct own {
    int fd;
    uint8_t memory[65536];
    _Atomic uint64_t written, places, ended;
};

static ssize_t own_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct own *own = context;

    (void)stream;
    atomic_fetch_add(&own->written, size);
    return write(own->fd, data, size);
}

static int own_target(struct lb_stream *stream, void *context)
{
    const struct own *own = context;

    (void)stream;
    return own->fd;
}

static ssize_t own_place(struct lb_stream *stream, void *context, void **data)
{
    struct own *own = context;

    (void)stream;
    atomic_fetch_add(&own->places, 1);
    *data = own->memory;
    return sizeof(own->memory);
}

static int own_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct own *own = context;

    (void)stream;
    atomic_fetch_add(&own->ended, end == LB_END_EOF);
    return 0;
}

static void run_own(struct server *server, struct own *own, const struct lb_sink *sink,
                    unsigned filters)
{
    enum { MIB = 1 << 20 };
    uint8_t header[HEADER_SIZE_MAX];
    struct sender *sender;
    int fd;

    *own = (struct own){.fd = memfd_create("own", MFD_CLOEXEC)};
    CHECK(server, own->fd >= 0);
    test_filters_used = filters;
    server->config.sink = sink;
    server->config.sink_context = own;
    CHECK_OK(server, lb_engine_open(&server->engine, &server->config, NULL));
    server->address = suite_front(lb_engine_address(server->engine, 0));
    server_start(server);
    fd = server_connect(server);
    if (filters & FILTER_HEADER)
        CHECK_OK(server, peer_send(fd, header, header_make(header, HEADER_PLAIN, NULL, 0)));
    CHECK_OK(server, sender_start(&sender, fd, 1, 8 * MIB, MIB));
    CHECK_OK(server, sender_join(sender));
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    lb_engine_close(server->engine);
    server->engine = NULL;
    suite_leave();
    CHECK_SAME(server, atomic_load(&own->ended), 1);
    CHECK_SAME(server, lseek(own->fd, 0, SEEK_END), 8 * MIB);
    for (off_t at = 0; at < 8 * MIB; at += 65536) {
        uint8_t data[65536], expected[65536];

        CHECK_SAME(server, pread(own->fd, data, sizeof(data), at), sizeof(data));
        payload_fill(1, (uint64_t)at, expected, sizeof(expected));
        CHECK(server, memcmp(data, expected, sizeof(data)) == 0);
    }
    close(own->fd);
}

/* A prelude takes nothing of that away; who has to see the bytes does. */
static void spliced_behind_a_prelude(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "own", .write = own_write,
                                        .target = own_target, .end = own_end};
    struct server *server = *state;
    struct own own;

    run_own(server, &own, &sink, FILTER_HEADER);
    CHECK(server, atomic_load(&own.written) < 8 << 20);
    run_own(server, &own, &sink, FILTER_HEADER | FILTER_PAIR);
    CHECK_SAME(server, atomic_load(&own.written), 8 << 20);
}

static void placed_behind_a_prelude(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "own", .write = own_write,
                                        .place = own_place, .end = own_end};
    struct server *server = *state;
    struct own own;

    run_own(server, &own, &sink, FILTER_HEADER);
    CHECK(server, atomic_load(&own.places) > 0);
    run_own(server, &own, &sink, FILTER_HEADER | FILTER_PAIR);
    CHECK_SAME(server, atomic_load(&own.places), 0);
}

const struct test_case filters_cases[] = {
    {"filter_less_comes_out", less_comes_out, FAMILY_ANY, 0},
    {"filter_more_comes_out", more_comes_out, FAMILY_ANY, 0},
    {"filter_slots_of_any_size", slots_of_any_size, FAMILY_ANY, 0},
    {"filter_malformed_bytes", malformed_bytes, FAMILY_ANY, 0},
    {"filter_all_is_said", all_is_said_through_filters, FAMILY_ANY, 0},
    {"filter_limit_by_bytes", a_limit_by_bytes, FAMILY_ANY, 0},
    {"filter_splice", spliced_behind_a_prelude, FAMILY_ANY, 0},
    {"filter_place", placed_behind_a_prelude, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
