/* SPDX-License-Identifier: MIT */
/* Sinks that cannot take more, and pools that have no slot left. */
#include "suite.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Streams with tags below stall: they take the first bytes and then nothing until the gate opens.
 */
enum { STALL_BELOW = 100, FIRST_BYTES = 1000 };

static ssize_t stall(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                     size_t size)
{
    const uint64_t taken = lb_stream_bytes(stream);
    int error;

    (void)data;
    if (entry->tag >= STALL_BELOW || gate_is_open(&entry->ledger->gate))
        return (ssize_t)size;
    if (taken + size <= FIRST_BYTES)
        return (ssize_t)size;
    error = ledger_watch_gate(entry, stream);
    atomic_store(&entry->mark, 1); /* stalled */
    return error ? error : (ssize_t)(FIRST_BYTES - taken);
}

static void use_stalls(struct server *server)
{
    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = stall;
}

static void await_stalled(struct server *server, uint64_t tag)
{
    struct ledger_entry *entry = server_await_tag(server, tag);

    AWAIT(server, atomic_load(&entry->mark) == 1 && atomic_load(&entry->bytes) == FIRST_BYTES);
}

/* Sends without blocking until the connection takes no more. Returns how much of the payload went.
 */
static uint64_t send_until_full(struct server *server, int fd, uint64_t tag, uint64_t offset,
                                uint64_t end)
{
    enum { PART = 65536 };
    uint8_t *buffer = malloc(PART);
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    ssize_t sent = 0;

    /* Quiet for a while is full: the kernels move what they hold without anybody's help. */
    while (offset < end && poll(&poll_fd, 1, 100) > 0) {
        payload_fill(tag, offset, buffer, PART);
        sent = send(fd, buffer, end - offset < PART ? (size_t)(end - offset) : PART,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            break;
        if (sent > 0)
            offset += (uint64_t)sent;
    }
    free(buffer);
    CHECK(server, sent >= 0 || errno == EAGAIN);
    return offset;
}

/* One stalled stream: its peer must block, the others must not care, and no byte may be lost. */
static void stalled_sink(void **state)
{
    const uint64_t size = UINT64_C(160) << 20;
    const uint64_t other_size = (uint64_t)scale_count(8, 2) << 20;
    struct server *server = *state;
    struct sender *sender;
    uint64_t sent;
    int fd;

    use_stalls(server);
    server_begin(server, 10);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 2 * FIRST_BYTES, 2 * FIRST_BYTES));
    await_stalled(server, 1);
    sent = send_until_full(server, fd, 1, 2 * FIRST_BYTES, size);
    for (uint64_t tag = STALL_BELOW; tag < STALL_BELOW + 9; tag++) {
        CHECK_OK(server, sender_start(&sender, server_connect(server), tag, other_size, 100000));
        CHECK_OK(server, sender_join(sender));
        server_check_payload(server, tag, other_size, LB_END_EOF);
    }
    /* Whatever the kernel holds (tcp_rmem and tcp_wmem), it is not for the engine to hold more. */
    sent = send_until_full(server, fd, 1, sent, size);
    CHECK(server, sent < size);
    CHECK_SAME(server, atomic_load(&server_await_tag(server, 1)->bytes), FIRST_BYTES);
    CHECK_SAME(server, server_stats(server).active, 1);
    gate_open(&server->ledger.gate);
    CHECK_OK(server, peer_send_payload(fd, 1, sent, sent + (1 << 20), 65536));
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    server_check_payload(server, 1, sent + (1 << 20), LB_END_EOF);
    server_finish(server);
}

/* EOF stands behind what a paused sink has not taken yet. */
static void pause_before_eof(void **state)
{
    static const uint64_t sizes[] = {FIRST_BYTES + 1, 5000, 30000};
    struct server *server = *state;

    use_stalls(server);
    server_begin(server, 3);
    for (uint64_t i = 0; i < 3; i++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, i + 1, 0, sizes[i], 30000));
        close(fd);
        await_stalled(server, i + 1);
    }
    CHECK_SAME(server, atomic_load(&server->ledger.ended), 0);
    gate_open(&server->ledger.gate);
    server_await_ends(server, 3);
    for (uint64_t i = 0; i < 3; i++)
        server_check_payload(server, i + 1, sizes[i], LB_END_EOF);
    server_finish(server);
}

static void pause_before_reset(void **state)
{
    enum { SIZE = 30000 };
    struct server *server = *state;
    int fd;

    use_stalls(server);
    server->config.slot_size = 4096;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_OK(server, peer_await_acked(fd));
    await_stalled(server, 1);
    CHECK_OK(server, peer_reset(fd));
    gate_open(&server->ledger.gate);
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_RESET);
    server_finish(server);
}

/* Takes a little each time and is ready at once: every chunk is offered in many parts. */
static ssize_t sip(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                   size_t size)
{
    enum { SIP = 4093 };
    int error;

    (void)data;
    if (size <= SIP)
        return (ssize_t)size;
    error = ledger_watch_gate(entry, stream); /* open all the time */
    return error ? error : SIP;
}

static void sipping_sink(void **state)
{
    enum { STREAMS = 4, SIZE = 1 << 20 };
    struct server *server = *state;
    struct sender *senders[STREAMS];

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = sip;
    gate_open(&server->ledger.gate);
    server_begin(server, STREAMS);
    for (uint64_t i = 0; i < STREAMS; i++)
        CHECK_OK(server, sender_start(&senders[i], server_connect(server), i + 1, SIZE, 100000));
    for (uint64_t i = 0; i < STREAMS; i++) {
        CHECK_OK(server, sender_join(senders[i]));
        server_check_payload(server, i + 1, SIZE, LB_END_EOF);
    }
    server_finish(server);
}

static int fail_ready(struct ledger_entry *entry, struct lb_stream *stream)
{
    (void)stream;
    return gate_is_open(&entry->ledger->gate) ? -EPIPE : 0;
}

static void ready_fails(void **state)
{
    struct server *server = *state;
    int fd;

    use_stalls(server);
    server->ledger.hooks.ready = fail_ready;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 5000, 5000));
    await_stalled(server, 1);
    gate_open(&server->ledger.gate);
    server_await_ends(server, 1);
    close(fd);
    CHECK_SAME(server, server_entry(server, 0)->end, LB_END_SINK);
    CHECK_SAME(server, atomic_load(&server_entry(server, 0)->bytes), FIRST_BYTES);
    server_finish(server);
}

/* A regular file is always ready: it can't be watched. Anything that can is watched and withdrawn.
 */
static int try_watches(struct ledger_entry *entry, struct lb_stream *stream)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int event = eventfd(0, EFD_CLOEXEC);

    if (lb_stream_watch(stream, file, POLLIN) != -EPERM)
        ledger_complain(entry->ledger, "a regular file could be watched");
    if (lb_stream_watch(stream, -1, POLLIN) != -EBADF)
        ledger_complain(entry->ledger, "descriptor -1 could be watched");
    if (lb_stream_watch(stream, event, POLLIN) != 0 ||
        lb_stream_watch(stream, event, POLLIN | POLLOUT) != 0 ||
        lb_stream_watch(stream, event, 0) != 0)
        ledger_complain(entry->ledger, "an eventfd could not be watched");
    close(event);
    close(file);
    return 0;
}

static void watches(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.open = try_watches;
    server_begin(server, 5);
    for (size_t i = 0; i < 5; i++) {
        CHECK_OK(server, peer_finish(server_connect(server), "abc", 3));
        server_check_bytes(server, i, "abc", 3, LB_END_EOF);
    }
    server_finish(server);
}

/* ---- the pool ------------------------------------------------------------------------------- */

/* Many streams share one slot, then two. */
static void run_many_on_slots(struct server *server, unsigned slots)
{
    struct many_peers many = {.server = server,
                              .first_tag = STALL_BELOW,
                              .peers = 64,
                              .at_once = 64,
                              .size_min = 8,
                              .size_max = 200000};

    server->config.workers = suite_is_blocking() ? 8 : 1;
    server->config.slots = slots;
    server->config.slot_size = 4096;
    server_begin(server, many.peers);
    many_peers_run(&many);
    many_peers_check(&many);
    server_finish(server);
}

static void one_slot(void **state)
{
    run_many_on_slots(*state, 1);
}

static void two_slots(void **state)
{
    run_many_on_slots(*state, 2);
}

/* More streams hold a chunk than there are slots to receive into, and others go on meanwhile. */
static void slots_all_held(void **state)
{
    enum { STALLED = 12, SIZE = 100000 };
    struct server *server = *state;
    struct sender *stalled[STALLED], *other;

    use_stalls(server);
    server->config.workers = suite_is_blocking() ? STALLED + 2 : 1;
    server->config.slots = 2;
    server->config.slot_size = 4096;
    server_begin(server, STALLED + 6);
    for (uint64_t i = 0; i < STALLED; i++)
        CHECK_OK(server, sender_start(&stalled[i], server_connect(server), i + 1, SIZE, 30000));
    for (uint64_t i = 0; i < STALLED; i++)
        await_stalled(server, i + 1);
    for (uint64_t tag = STALL_BELOW; tag < STALL_BELOW + 6; tag++) {
        CHECK_OK(server, sender_start(&other, server_connect(server), tag, SIZE, 30000));
        CHECK_OK(server, sender_join(other));
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    }
    for (uint64_t i = 0; i < STALLED; i++)
        CHECK_SAME(server, atomic_load(&server_await_tag(server, i + 1)->bytes), FIRST_BYTES);
    gate_open(&server->ledger.gate);
    for (uint64_t i = 0; i < STALLED; i++) {
        CHECK_OK(server, sender_join(stalled[i]));
        server_check_payload(server, i + 1, SIZE, LB_END_EOF);
    }
    server_finish(server);
}

/* Takes the first bytes, and watches nothing: only another thread knows when there is room. */
static ssize_t sleep_on(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                        size_t size)
{
    (void)data;
    if (gate_is_open(&entry->ledger->gate) || lb_stream_bytes(stream) + size <= FIRST_BYTES)
        return (ssize_t)size;
    atomic_store(&entry->mark, (int)lb_stream_id(stream));
    return (ssize_t)(FIRST_BYTES - lb_stream_bytes(stream));
}

/* Those who are woken by their numbers go on, and no others; numbers of nobody do nothing. */
static void woken_by_number(void **state)
{
    enum { STREAMS = 4, SIZE = 30000 };
    struct server *server = *state;
    struct ledger_entry *entries[STREAMS];
    int fds[STREAMS];

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = sleep_on;
    server_begin(server, STREAMS);
    for (uint64_t i = 0; i < STREAMS; i++) {
        fds[i] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[i], i + 1, 0, SIZE, SIZE));
        entries[i] = server_await_tag(server, i + 1);
        AWAIT(server,
              atomic_load(&entries[i]->mark) > 0 && atomic_load(&entries[i]->bytes) == FIRST_BYTES);
    }
    gate_open(&server->ledger.gate);
    CHECK_OK(server, lb_engine_wake(server->engine, 0));
    CHECK_OK(server, lb_engine_wake(server->engine, 1000));
    for (uint64_t i = STREAMS; i-- > 0;) {
        CHECK_SAME(server, atomic_load(&entries[i]->bytes), FIRST_BYTES);
        CHECK_OK(server, lb_engine_wake(server->engine, (uint64_t)atomic_load(&entries[i]->mark)));
        CHECK_OK(server, peer_finish(fds[i], NULL, 0));
        server_check_payload(server, i + 1, SIZE, LB_END_EOF);
    }
    CHECK_OK(server, lb_engine_wake(server->engine, 1));
    server_finish(server);
}

const struct test_case pauses_cases[] = {
    {"stalled_sink", stalled_sink, FAMILY_ANY, 0},
    {"pause_before_eof", pause_before_eof, FAMILY_ANY, 0},
    {"pause_before_reset", pause_before_reset, FAMILY_TCP, 0},
    {"sipping_sink", sipping_sink, FAMILY_ANY, 0},
    {"ready_fails", ready_fails, FAMILY_ANY, 0},
    {"watches", watches, FAMILY_ANY, 0},
    {"woken_by_number", woken_by_number, FAMILY_ANY, 0},
    {"pool_of_one_slot", one_slot, FAMILY_ANY, 0},
    {"pool_of_two_slots", two_slots, FAMILY_ANY, 0},
    {"pool_held_by_stalled_sinks", slots_all_held, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
