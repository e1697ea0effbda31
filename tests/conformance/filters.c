/* SPDX-License-Identifier: MIT */
/* Filters that change bytes and judge the end, in front of every kind of sink. */
#include "filtered_suite.h"
#include "test_filters.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 300001, HEARD_SIZE = 1000, LOOK_MS = 50, BEHIND = 1 << 20 };

static const char greeting[] = "hello\n";

/* ---- peers ----------------------------------------------------------------------------------- */

/* What a peer sends, so that payload `tag` comes out of the filters in use. The caller frees it. */
static uint8_t *encode(struct server *server, uint64_t tag, size_t size, char trailer,
                       size_t *encoded)
{
    uint8_t *payload = malloc(size + 1), *frames = malloc(2 * size + 4),
            *pairs = malloc(4 * size + 8), *result;

    CHECK(server, payload && frames && pairs);
    payload_fill(tag, 0, payload, size);
    if (test_filters_used & FILTER_JUDGE) {
        *encoded = frames_make(payload, size, frames);
        frames[*encoded] = 0;
        frames[*encoded + 1] = (uint8_t)trailer;
        *encoded += trailer ? 2 : 0;
    } else {
        memcpy(frames, payload, size);
        *encoded = size;
    }
    free(payload);
    result = frames;
    if ((test_filters_used & FILTER_PAIR) == FILTER_HALVE) {
        pairs_make(frames, *encoded, pairs);
        *encoded *= 2;
        result = pairs;
    }
    free(result == pairs ? frames : pairs);
    return result;
}

/* In writes of odd sizes. */
static void send_encoded(struct server *server, int fd, uint64_t tag, char trailer)
{
    size_t size, part = 1;
    uint8_t *data = encode(server, tag, SIZE, trailer, &size);

    for (size_t sent = 0; sent < size; sent += part) {
        part = part * 3 % 40009;
        part = part < size - sent ? part : size - sent;
        CHECK_OK(server, peer_send(fd, data + sent, part));
    }
    free(data);
}

/* All that is heard until the EOF. Closes. */
static size_t hear(struct server *server, int fd, char heard[HEARD_SIZE])
{
    size_t size = 0;
    ssize_t got;

    while ((got = recv(fd, heard + size, HEARD_SIZE - 1 - size, 0)) > 0)
        size += (size_t)got;
    CHECK_SAME(server, got, 0);
    heard[size] = '\0';
    close(fd);
    return size;
}

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

static void begin_with(struct server *server, unsigned filters, size_t room)
{
    test_filters_used = filters;
    server_begin(server, room);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void less_comes_out(void **state)
{
    struct server *server = *state;

    begin_with(server, FILTER_HALVE, 3);
    for (uint64_t tag = 1; tag <= 3; tag++) {
        int fd = server_connect(server);

        send_encoded(server, fd, tag, 0);
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    }
    server_finish(server);
}

static void more_comes_out(void **state)
{
    struct server *server = *state;
    uint8_t *payload = malloc(SIZE), *pairs = malloc(2 * SIZE);

    CHECK(server, payload && pairs);
    payload_fill(1, 0, payload, SIZE);
    pairs_make(payload, SIZE, pairs);
    begin_with(server, FILTER_DOUBLE, 1);
    CHECK_OK(server, peer_finish(server_connect(server), payload, SIZE));
    server_check_bytes(server, 0, pairs, 2 * SIZE, LB_END_EOF);
    free(payload);
    free(pairs);
    server_finish(server);
}

/* A slot that is larger than what a filter may make at a time, and one that would be too small. */
static void slots_of_any_size(void **state)
{
    static const size_t sizes[] = {4096, 1 << 20};
    struct server *server = *state;

    for (uint64_t i = 0; i < 4; i++) {
        struct sender *sender;

        server->config.slot_size = sizes[i % 2];
        server->sink.flags = i < 2 ? LB_SINK_MAY_PAUSE : 0;
        begin_with(server, FILTER_PAIR, 1);
        CHECK_OK(server, sender_start(&sender, server_connect(server), i + 1, SIZE, SIZE));
        CHECK_OK(server, sender_join(sender));
        server_check_payload(server, i + 1, SIZE, LB_END_EOF);
        server_finish(server);
    }
}

static void malformed_bytes(void **state)
{
    struct server *server = *state;
    uint8_t data[] = {'a', 'a' ^ 0xff, 'b', 'b'};
    int fd;

    begin_with(server, FILTER_HALVE, 1);
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
    char heard[HEARD_SIZE];
    size_t size;
    int fd;

    server->config.greeting = greeting;
    server->config.greeting_size = strlen(greeting);
    server->config.receipt = "xxh3";
    server->ledger.hooks.end = answer;
    begin_with(server, FILTER_HALVE | FILTER_JUDGE, 1);
    fd = server_connect(server);
    send_encoded(server, fd, 1, 'W');
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    size = hear(server, fd, heard);
    unpair(server, heard, size);
    size /= 2;
    CHECK(server, strncmp(heard, "hello\nthanks\nok 300001 xxh3:", 28) == 0);
    CHECK(server, size > 32 && strcmp(heard + size - 5, "\nbye\n") == 0);
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    server_finish(server);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void check_judged(struct server *server, uint64_t tag, enum lb_end end, const char *why)
{
    const struct ledger_entry *entry;

    server_await_ends(server, 1);
    server_check_payload(server, tag, SIZE, end);
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

    begin_with(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    send_encoded(server, fd, 1, 'W');
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    check_judged(server, 1, LB_END_EOF, NULL);
}

static void cut_off(void **state)
{
    struct server *server = *state;
    int fd;

    begin_with(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    send_encoded(server, fd, 1, 0);
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

    begin_with(server, FILTER_HALVE | FILTER_JUDGE, 1);
    fd = server_connect(server);
    send_encoded(server, fd, 1, 0);
    CHECK_OK(server, peer_send(fd, "x", 1));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    (void)peer_await_eof(fd);
    close(fd);
    check_judged(server, 1, LB_END_TRUNCATED, "half a pair");
}

static void cut_off_is_told(void **state)
{
    struct server *server = *state;
    char heard[HEARD_SIZE];
    int fd;

    server->config.receipt = "xxh3";
    begin_with(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    send_encoded(server, fd, 1, 0);
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    hear(server, fd, heard);
    CHECK(server, strcmp(heard, "error truncated:no trailer 300001\nbye\n") == 0);
    check_judged(server, 1, LB_END_TRUNCATED, "no trailer");
}

static void a_reset_is_no_end(void **state)
{
    struct server *server = *state;
    int fd;

    begin_with(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    send_encoded(server, fd, 1, 0);
    CHECK_OK(server, peer_await_acked(fd));
    CHECK_OK(server, peer_reset(fd));
    check_judged(server, 1, LB_END_RESET, NULL);
}

/* Takes a little at a time, and is ready at once. */
static ssize_t sip(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                   size_t size)
{
    enum { SIP = 509 };
    int error;

    (void)data;
    if (size <= SIP)
        return (ssize_t)size;
    error = ledger_watch_gate(entry, stream);
    return error ? error : SIP;
}

static void use_sips(struct server *server)
{
    server->sink.flags |= LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = sip;
    gate_open(&server->ledger.gate);
}

/* The stream's own end comes before the connection's: what is behind it is dropped, and the receipt
 * reaches who goes on sending first. */
static void its_own_end(void **state)
{
    static const unsigned flags[] = {0, LB_SINK_MAY_PAUSE, LB_SINK_SLOW_END};
    struct server *server = *state;
    char heard[HEARD_SIZE];

    server->config.receipt = "xxh3";
    for (size_t i = 0; i < 3; i++) {
        int fd;

        server->sink.flags = flags[i];
        if (flags[i] == LB_SINK_MAY_PAUSE)
            use_sips(server);
        else
            server->ledger.hooks.write = NULL;
        begin_with(server, FILTER_JUDGE | (i % 2 ? FILTER_PAIR : 0), 1);
        fd = server_connect(server);
        send_encoded(server, fd, i + 1, 'E');
        CHECK_OK(server, peer_send_payload(fd, 99, 0, BEHIND, 100000));
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        hear(server, fd, heard);
        CHECK(server, strncmp(heard, "ok 300001 xxh3:", 15) == 0);
        check_judged(server, i + 1, LB_END_EOF, NULL);
        CHECK_SAME(server, server->stats.bytes, SIZE);
    }
}

/* The peer waits for the receipt before it closes. */
static void its_own_end_without_an_eof(void **state)
{
    struct server *server = *state;
    char heard[HEARD_SIZE];
    int fd;

    server->config.receipt = "xxh3";
    begin_with(server, FILTER_JUDGE, 1);
    fd = server_connect(server);
    send_encoded(server, fd, 1, 'E');
    hear(server, fd, heard); /* the server's EOF comes while our direction is open */
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

        use_sips(server);
        begin_with(server, filters[i], 1);
        fd = server_connect(server);
        send_encoded(server, fd, i + 1, 'W');
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        CHECK_OK(server, peer_await_eof(fd));
        close(fd);
        server_check_payload(server, i + 1, SIZE, LB_END_EOF);
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
    begin_with(server, filters, 1);
    fd = server_connect(server);
    data = encode(server, 1, SHORT, trailer, &size);
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
            use_sips(server);
        begin_with(server, filters[i % 2], 2);
        /* One byte less than too many is a whole stream. */
        for (size_t more = 0; more < 2; more++) {
            fd = server_connect(server);
            data = encode(server, 2 * i + more + 1, MOST + more, 0, &size);
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
    server->address = lb_engine_address(server->engine, 0);
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
    static const struct lb_sink sink = {
        .name = "own", .write = own_write, .target = own_target, .end = own_end};
    struct server *server = *state;
    struct own own;

    run_own(server, &own, &sink, FILTER_HEADER);
    CHECK(server, atomic_load(&own.written) < 8 << 20);
    run_own(server, &own, &sink, FILTER_HEADER | FILTER_PAIR);
    CHECK_SAME(server, atomic_load(&own.written), 8 << 20);
}

static void placed_behind_a_prelude(void **state)
{
    static const struct lb_sink sink = {
        .name = "own", .write = own_write, .place = own_place, .end = own_end};
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
    {"filter_kept_and_failed", failed_with_something_kept, FAMILY_ANY, 0},
    {"filter_limit_by_bytes", a_limit_by_bytes, FAMILY_ANY, 0},
    {"filter_splice", spliced_behind_a_prelude, FAMILY_ANY, 0},
    {"filter_place", placed_behind_a_prelude, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
