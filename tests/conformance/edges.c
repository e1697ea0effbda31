/* SPDX-License-Identifier: MIT */
/* Every step of a stream's life that is allowed is taken here; that no other is, life.c asserts. */
#include "filtered_suite.h"
#include "states.h"
#include "test_filters.h"

#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 20000, LONG_MS = 600000 };

/* ---- sinks ----------------------------------------------------------------------------------- */

/* Takes half of what it is given, and the rest once the gate is open. By an alarm: a watch can't be
 * withdrawn by an end that runs on another thread. */
static ssize_t take_half(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                         size_t size)
{
    int error;

    (void)data;
    if (lb_stream_bytes(stream) > 0)
        return (ssize_t)size;
    error = lb_stream_alarm(stream, gate_is_open(&entry->ledger->gate) ? 0 : LONG_MS);
    return error ? error : (ssize_t)(size / 2);
}

static int refuse(struct ledger_entry *entry, struct lb_stream *stream)
{
    (void)entry;
    (void)stream;
    return -EMFILE;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static int connect_and_send(struct server *server, uint64_t tag)
{
    int fd = server_connect(server);

    CHECK_OK(server, peer_send_payload(fd, tag, 0, SIZE, SIZE));
    return fd;
}

static void let_end(int fd)
{
    shutdown(fd, SHUT_WR); /* unless it was turned away already */
    (void)peer_await_eof(fd);
    close(fd);
}

static void stop_now(struct server *server, int fd)
{
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    close(fd);
    server_finish(server);
}

static void await_bytes(struct server *server, uint64_t tag, uint64_t bytes)
{
    struct ledger_entry *entry = server_await_tag(server, tag);

    AWAIT(server, atomic_load(&entry->bytes) >= bytes);
}

/* A server at the defaults, with a sink of these flags. */
static void begin(struct server *server, unsigned filters, unsigned flags)
{
    test_filters_used = filters;
    server->sink.flags = flags;
    server_begin(server, 3);
}

/* ---- what drives them ------------------------------------------------------------------------ */

/* FREE, PARKED, ENTERING, PARKED, RECEIVING, ENDING, ANSWERING, FREE. */
static void live(struct server *server, unsigned flags)
{
    uint8_t header[HEADER_SIZE_MAX];
    int fd;

    begin(server, FILTER_HEADER, flags);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, header, header_make(header, HEADER_PLAIN, NULL, 0)));
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    let_end(fd);
    server_finish(server);
}

/* RECEIVING, CANCELLED, ENDING. */
static void stop_receiving(struct server *server, unsigned flags)
{
    int fd;

    begin(server, 0, flags);
    fd = connect_and_send(server, 1);
    await_bytes(server, 1, SIZE);
    stop_now(server, fd);
}

/* RECEIVING, PAUSED, ENDING. */
static void pause_and_stop(struct server *server, unsigned flags)
{
    int fd;

    server->ledger.hooks.write = take_half;
    begin(server, 0, flags | LB_SINK_MAY_PAUSE);
    fd = connect_and_send(server, 1);
    await_bytes(server, 1, PAYLOAD_TAG_SIZE);
    stop_now(server, fd);
    server->ledger.hooks.write = NULL;
}

/* PAUSED, RECEIVING. */
static void pause_and_go_on(struct server *server)
{
    server->ledger.hooks.write = take_half;
    begin(server, 0, LB_SINK_MAY_PAUSE);
    let_end(connect_and_send(server, 1));
    server_finish(server);
    server->ledger.hooks.write = NULL;
}

/* RECEIVING, THROTTLED, ENDING; and of a stream that finds no bytes left for it, PARKED, THROTTLED.
 */
static void throttle_and_stop(struct server *server, unsigned flags)
{
    int fd, late;

    server->config.total_rate_limit = 1024; /* the first piece is paid for after seconds */
    begin(server, 0, flags);
    fd = connect_and_send(server, 1);
    await_bytes(server, 1, PAYLOAD_TAG_SIZE);
    late = connect_and_send(server, 2);
    AWAIT(server, atomic_load(&server->ledger.opened) == 2);
    close(late);
    stop_now(server, fd);
    server->config.total_rate_limit = 0;
}

/* PAUSED, THROTTLED, RECEIVING. */
static void throttle_and_go_on(struct server *server)
{
    server->config.rate_limit = SIZE; /* a second's */
    server->ledger.hooks.write = take_half;
    begin(server, 0, LB_SINK_MAY_PAUSE);
    let_end(connect_and_send(server, 1));
    server_finish(server);
    server->config.rate_limit = 0;
    server->ledger.hooks.write = NULL;
}

/* PARKED, ANSWERING; and PARKED, FREE. */
static void turn_away(struct server *server)
{
    static const char *const deny[] = {"192.0.2.1", NULL};
    uint8_t header[HEADER_SIZE_MAX];
    size_t size = header_make(header, HEADER_ADDRESS, "192.0.2.1", 1);
    int fd;

    server->ledger.hooks.open = refuse;
    begin(server, 0, 0);
    let_end(server_connect(server));
    server_finish(server);
    server->ledger.hooks.open = NULL;
    server->config.deny = deny;
    begin(server, FILTER_HEADER, 0);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, header, size));
    (void)peer_await_eof(fd);
    close(fd);
    server_finish(server);
    server->config.deny = NULL;
}

/* ENTERING, FREE; and ENTERING, CANCELLED, FREE. */
static void fail_to_enter(struct server *server)
{
    int fd;

    begin(server, FILTER_HEADER, 0);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "bad", 3));
    (void)peer_await_eof(fd);
    close(fd);
    fd = server_connect(server);
    atomic_store(&test_header_bytes, 0);
    CHECK_OK(server, peer_send(fd, "H", 1));
    AWAIT(server, atomic_load(&test_header_bytes) == 1);
    stop_now(server, fd);
}

/* RECEIVING, FREE; RECEIVING, ANSWERING. */
static void expect(struct server *server)
{
    server->config.ignore_empty = true;
    begin(server, 0, 0);
    let_end(server_connect(server));
    server_finish(server);
    server->ledger.hooks.open = refuse;
    begin(server, 0, 0);
    let_end(connect_and_send(server, 1));
    server_finish(server);
    server->ledger.hooks.open = NULL;
    server->config.ignore_empty = false;
}

static bool counts_steps(void)
{
    return lb_state_steps_taken(LB_STREAM_FREE) != 0;
}

static const char *const names[LB_STREAM_STATES] = {
    "FREE",   "PARKED",    "ENTERING", "RECEIVING",  "THROTTLED",
    "PAUSED", "CANCELLED", "ENDING",   "COMMITTING", "ANSWERING",
};

static void every_edge(void **state)
{
    static const unsigned flags[] = {0, LB_SINK_SLOW_END};
    struct server *server = *state;

    server->config.drain_ms = LONG_MS;
    for (int i = 0; i < 2; i++) {
        live(server, flags[i]);
        stop_receiving(server, flags[i]);
        pause_and_stop(server, flags[i]);
        throttle_and_stop(server, flags[i]);
    }
    gate_open(&server->ledger.gate);
    pause_and_go_on(server);
    throttle_and_go_on(server);
    turn_away(server);
    fail_to_enter(server);
    expect(server);
    if (!counts_steps())
        skip(); /* a build without assertions */
    for (unsigned from = 0; from < LB_STREAM_STATES; from++) {
        unsigned missing = lb_state_steps_allowed(from) & ~lb_state_steps_taken(from);

        CHECK_SAME(server, lb_state_steps_taken(from) & ~lb_state_steps_allowed(from), 0);
        if (missing)
            server_give_up(server, __FILE__, __LINE__, "no stream went from %s to %s", names[from],
                           names[__builtin_ctz(missing)]);
    }
}

const struct test_case edges_cases[] = {
    {"every_edge", every_edge, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
