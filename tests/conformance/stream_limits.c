/* SPDX-License-Identifier: MIT */
/* Limits of one stream: each ends that stream alone, with its own end and reason. */
#include "suite.h"

#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 300000 };

static void check_why(struct server *server, uint64_t tag, const char *why)
{
    const struct ledger_entry *entry = server_await_tag(server, tag);

    if (!entry->why || strcmp(entry->why, why) != 0)
        server_give_up(server, __FILE__, __LINE__, "stream %" PRIu64 " ended for %s, not for %s",
                       tag, entry->why ? entry->why : "nothing", why);
}

static bool has_ended(struct server *server, uint64_t tag)
{
    return atomic_load(&server_await_tag(server, tag)->phase) == LEDGER_ENDED;
}

/* A byte now and then until the server ends the stream. Never silent for long, never fast. */
static void trickle(struct server *server, int fd, uint64_t tag)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    for (uint64_t at = PAYLOAD_TAG_SIZE; !has_ended(server, tag); at++) {
        CHECK(server, time_now_ns() < deadline);
        /* It fails once the other side has closed. */
        (void)peer_send_payload(fd, tag, at, at + 1, 1);
        time_nap();
    }
    close(fd);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void as_many_bytes_as_allowed(void **state)
{
    struct server *server = *state;

    server->config.max_bytes = SIZE;
    server_begin(server, 2);
    for (uint64_t tag = 1; tag <= 2; tag++) {
        struct sender *sender;

        CHECK_OK(server, sender_start(&sender, server_connect(server), tag, SIZE, 70000));
        CHECK_OK(server, sender_join(sender));
        server_check_payload(server, tag, SIZE, LB_END_EOF);
        CHECK(server, server_await_tag(server, tag)->why == NULL);
    }
    server_finish(server);
}

/* However many more come: the sink gets what is allowed, and not one byte beyond. */
static void more_bytes_than_allowed(void **state)
{
    static const uint64_t more[] = {1, 100, 70000, 20 << 20};
    struct server *server = *state;
    int honest;

    server->config.max_bytes = SIZE;
    server_begin(server, 5);
    honest = server_connect(server);
    CHECK_OK(server, peer_send_payload(honest, 9, 0, 1000, 1000));
    for (uint64_t i = 0; i < 4; i++) {
        int fd = server_connect(server);

        (void)peer_send_payload(fd, i + 1, 0, SIZE + more[i], 65536);
        AWAIT(server, has_ended(server, i + 1));
        close(fd);
        server_check_payload(server, i + 1, SIZE, LB_END_LIMIT);
        check_why(server, i + 1, "max-bytes");
    }
    CHECK_OK(server, peer_send_payload(honest, 9, 1000, SIZE, 1000));
    CHECK_OK(server, peer_finish(honest, NULL, 0));
    server_check_payload(server, 9, SIZE, LB_END_EOF);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_LIMIT], 4);
}

static ssize_t take_little(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                           size_t size)
{
    (void)data;
    /* The gate is open from the start: the rest is offered again at once. */
    if (size > 1000 && ledger_watch_gate(entry, stream) == 0)
        return 1000;
    return (ssize_t)size;
}

static void more_bytes_through_a_pausing_sink(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.max_bytes = 10500;
    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = take_little;
    gate_open(&server->ledger.gate);
    server_begin(server, 1);
    fd = server_connect(server);
    (void)peer_send_payload(fd, 1, 0, 30000, 30000);
    AWAIT(server, has_ended(server, 1));
    close(fd);
    server_check_payload(server, 1, 10500, LB_END_LIMIT);
    check_why(server, 1, "max-bytes");
    server_finish(server);
}

/* ---- time ------------------------------------------------------------------------------------ */

enum { IDLE_MS = 300 };

/* Sends size bytes of the tag's payload, then nothing until the server has ended the stream. */
static void fall_silent(struct server *server, uint64_t tag, uint64_t size)
{
    int fd = server_connect(server);
    uint64_t begin = time_now_ns();

    CHECK_OK(server, peer_send_payload(fd, tag, 0, size, size));
    AWAIT(server, has_ended(server, tag));
    CHECK(server, time_now_ns() - begin >= IDLE_MS * UINT64_C(1000000));
    close(fd);
    server_check_payload(server, tag, size, LB_END_TIMEOUT);
    check_why(server, tag, "idle");
}

static void an_idle_stream(void **state)
{
    struct server *server = *state;
    int empty;

    server->config.idle_timeout_ms = IDLE_MS;
    server_begin(server, 3);
    empty = server_connect(server); /* not one byte, and an end all the same */
    fall_silent(server, 1, 1000);
    fall_silent(server, 2, SIZE);
    server_await_ends(server, 3);
    close(empty);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_TIMEOUT], 3);
}

static ssize_t stall(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                     size_t size)
{
    int error;

    (void)data;
    if (entry->tag != 1 || gate_is_open(&entry->ledger->gate))
        return (ssize_t)size;
    error = ledger_watch_gate(entry, stream);
    return error ? error : (ssize_t)(size < PAYLOAD_TAG_SIZE ? size : PAYLOAD_TAG_SIZE);
}

/* A sink that takes no more is not the peer's silence. */
static void a_paused_stream_is_not_idle(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.idle_timeout_ms = IDLE_MS;
    server->config.min_rate = 1 << 20;
    server->config.min_rate_window_ms = IDLE_MS;
    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = stall;
    /* All is sent before the time begins. */
    server_open(server, 4);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 20000, 20000));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    server_start(server);
    server_await_tag(server, 1);
    /* Their ends show that the time is over. */
    for (int i = 0; i < 3; i++) {
        int silent = server_connect(server);

        server_await_ends(server, (size_t)i + 1);
        close(silent);
    }
    CHECK(server, !has_ended(server, 1));
    gate_open(&server->ledger.gate);
    server_await_ends(server, 4);
    close(fd);
    server_check_payload(server, 1, 20000, LB_END_EOF);
    server_finish(server);
}

/* It sends too often to be idle, and too little. */
static void a_trickle_is_too_slow(void **state)
{
    struct server *server = *state;
    int fd, honest;

    server->config.idle_timeout_ms = 600000;
    server->config.min_rate = 1 << 20;
    server->config.min_rate_window_ms = 300;
    server_open(server, 2);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, PAYLOAD_TAG_SIZE, PAYLOAD_TAG_SIZE));
    honest = server_connect(server);
    CHECK_OK(server, peer_send_payload(honest, 2, 0, 20000, 20000));
    CHECK_SAME(server, shutdown(honest, SHUT_WR), 0);
    server_start(server);
    CHECK_OK(server, peer_await_eof(honest));
    close(honest);
    trickle(server, fd, 1);
    CHECK_SAME(server, server_await_tag(server, 1)->end, LB_END_LIMIT);
    check_why(server, 1, "min-rate");
    server_check_payload(server, 2, 20000, LB_END_EOF);
    server_finish(server);
}

static void time_is_up(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.max_time_ms = IDLE_MS;
    server_open(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, PAYLOAD_TAG_SIZE, PAYLOAD_TAG_SIZE));
    server_start(server);
    trickle(server, fd, 1);
    CHECK_SAME(server, server_await_tag(server, 1)->end, LB_END_TIMEOUT);
    check_why(server, 1, "max-time");
    server_finish(server);
}

/* No stream, no sweep: the clock wakes nobody. */
static void an_empty_server_sleeps(void **state)
{
    struct server *server = *state;
    uint64_t waits;

    server->config.idle_timeout_ms = 10;
    server->config.workers = 1;
    server_begin(server, 2);
    CHECK_OK(server, peer_finish(server_connect(server), NULL, 0));
    AWAIT(server, server_stats(server).streams == 1);
    /* The turn that ended it may still be counted. */
    for (int i = 0; i < 20; i++)
        time_nap();
    waits = server_stats(server).waits;
    for (int i = 0; i < 100; i++)
        time_nap();
    CHECK(server, server_stats(server).waits <= waits + 2);
    server_finish(server);
}

/* ---- rates ----------------------------------------------------------------------------------- */

enum { RATE = 1200000, SLOT = 4096 };

/* By now no more bytes have come than the rates allow. Looks at the bytes before it looks at the
 * clock, and the clock began before the first byte: so it holds however slow this machine is. */
static void check_rate(struct server *server, uint64_t begin_ns, unsigned streams,
                       unsigned accounts)
{
    const uint64_t bytes = server_stats(server).bytes;
    const double seconds = (double)(time_now_ns() - begin_ns) / 1e9;

    CHECK(server, (double)bytes <= accounts * RATE * (seconds + 0.1) + streams * SLOT);
}

/* Several streams at a rate of their own, or at one for all. */
static void limit_rate(struct server *server, unsigned streams, unsigned accounts)
{
    struct sender *senders[8];
    uint64_t begin;

    server->config.slot_size = SLOT;
    server_open(server, streams);
    begin = time_now_ns();
    server_start(server);
    for (uint64_t i = 0; i < streams; i++)
        CHECK_OK(server, sender_start(&senders[i], server_connect(server), i + 1, SIZE, 100000));
    while (atomic_load(&server->ledger.ended) < streams) {
        check_rate(server, begin, streams, accounts);
        time_nap();
    }
    for (uint64_t i = 0; i < streams; i++) {
        CHECK_OK(server, sender_join(senders[i]));
        server_check_payload(server, i + 1, SIZE, LB_END_EOF);
    }
    check_rate(server, begin, streams, accounts);
    server_finish(server);
}

static void a_rate_for_each(void **state)
{
    struct server *server = *state;

    server->config.rate_limit = RATE;
    limit_rate(server, 3, 3);
}

static void a_rate_for_all(void **state)
{
    struct server *server = *state;

    server->config.total_rate_limit = RATE;
    server->config.workers = suite_is_blocking() ? 4 : 2;
    limit_rate(server, 3, 1);
}

static ssize_t take_half(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                         size_t size)
{
    (void)data;
    /* The gate is open from the start: the rest is offered again at once. */
    if (size > 100 && ledger_watch_gate(entry, stream) == 0)
        return (ssize_t)(size / 2);
    return (ssize_t)size;
}

static void a_rate_and_pauses(void **state)
{
    struct server *server = *state;

    server->config.rate_limit = RATE;
    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = take_half;
    gate_open(&server->ledger.gate);
    limit_rate(server, 2, 2);
}

/* What we keep waiting is neither idle nor slow, and can be stopped and run out of time. */
static void a_throttled_stream(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.slot_size = 16 << 10;
    server->config.rate_limit = 1024; /* the first slot is paid for after 16 seconds */
    server->config.idle_timeout_ms = 20;
    server->config.max_time_ms = IDLE_MS;
    server_open(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 60000, 60000));
    server_start(server);
    AWAIT(server, has_ended(server, 1));
    close(fd);
    CHECK_SAME(server, server_await_tag(server, 1)->end, LB_END_TIMEOUT);
    check_why(server, 1, "max-time");
    server_finish(server);
}

static void a_throttled_stream_is_stopped(void **state)
{
    struct server *server = *state;
    int fd;

    server->config.rate_limit = 1024;
    server->config.drain_ms = LB_NO_DRAIN;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 60000, 60000));
    server_await_tag(server, 1);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    close(fd);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_STOPPED], 1);
}

const struct test_case stream_limits_cases[] = {
    {"as_many_bytes_as_allowed", as_many_bytes_as_allowed, FAMILY_ANY, 0},
    {"more_bytes_than_allowed", more_bytes_than_allowed, FAMILY_ANY, 0},
    {"more_bytes_through_a_pausing_sink", more_bytes_through_a_pausing_sink, FAMILY_ANY, 0},
    {"an_idle_stream", an_idle_stream, FAMILY_ANY, 0},
    {"a_paused_stream_is_not_idle", a_paused_stream_is_not_idle, FAMILY_ANY, 0},
    {"a_trickle_is_too_slow", a_trickle_is_too_slow, FAMILY_ANY, 0},
    {"time_is_up", time_is_up, FAMILY_ANY, 0},
    {"an_empty_server_sleeps", an_empty_server_sleeps, FAMILY_ANY, 0},
    {"a_rate_for_each", a_rate_for_each, FAMILY_ANY, 0},
    {"a_rate_for_all", a_rate_for_all, FAMILY_ANY, 0},
    {"a_rate_and_pauses", a_rate_and_pauses, FAMILY_ANY, 0},
    {"a_throttled_stream", a_throttled_stream, FAMILY_ANY, 0},
    {"a_throttled_stream_is_stopped", a_throttled_stream_is_stopped, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
