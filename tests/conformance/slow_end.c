/* SPDX-License-Identifier: MIT */
/* Ends that take their time, on the committer's thread or in progress on the worker's. */
#include "suite.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOW_TAG = 1, OTHERS = 6, SIZE = 300000 };

/* Sends the payload to its end and half-closes; the descriptor is the caller's to close. */
static int send_whole(struct server *server, uint64_t tag, uint64_t size)
{
    int fd = server_connect(server);

    CHECK_OK(server, peer_send_payload(fd, tag, 0, size, 65536));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    return fd;
}

/* mark is the end's place among the ends, from 1. */
static int block_until_gate(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    atomic_store(&entry->mark, atomic_load(&entry->ledger->ended) + 1);
    if (entry->tag == SLOW_TAG)
        gate_wait(&entry->ledger->gate);
    return 0;
}

/* While one end blocks, the others' bytes go on; their ends come one at a time behind it. One
 * worker sees their EOFs in a known order, and the ends have to keep it. */
static void slow_end(void **state)
{
    struct server *server = *state;
    struct ledger_entry *slow;
    int fds[OTHERS + 1];

    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = block_until_gate;
    if (!suite_is_blocking())
        server->config.workers = 1;
    server_begin(server, OTHERS + 1);
    fds[0] = send_whole(server, SLOW_TAG, SIZE);
    slow = server_await_tag(server, SLOW_TAG);
    AWAIT(server, atomic_load(&slow->mark) == 1);
    for (uint64_t i = 1; i <= OTHERS; i++) {
        struct ledger_entry *entry;

        fds[i] = send_whole(server, SLOW_TAG + i, SIZE);
        entry = server_await_tag(server, SLOW_TAG + i);
        AWAIT(server, atomic_load(&entry->bytes) == SIZE);
    }
    CHECK_SAME(server, atomic_load(&server->ledger.ended), 0);
    CHECK_SAME(server, server_stats(server).streams, 0);
    CHECK_SAME(server, server_stats(server).active, OTHERS + 1);
    gate_open(&server->ledger.gate);
    for (uint64_t i = 0; i <= OTHERS; i++) {
        CHECK_OK(server, peer_await_eof(fds[i]));
        close(fds[i]);
        server_check_payload(server, SLOW_TAG + i, SIZE, LB_END_EOF);
        if (!suite_is_blocking())
            CHECK_SAME(server, atomic_load(&server_await_tag(server, SLOW_TAG + i)->mark), i + 1);
    }
    CHECK_SAME(server, atomic_load(&server->ledger.most_ends_under_way), 1);
    server_finish(server);
}

static int fail_slowly(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    return entry->tag % 2 == 1 ? -EIO : 0;
}

static void slow_end_fails(void **state)
{
    struct server *server = *state;

    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = fail_slowly;
    server_begin(server, OTHERS);
    for (uint64_t tag = 1; tag <= OTHERS; tag++) {
        int fd = send_whole(server, tag, SIZE), error = peer_await_eof(fd);

        CHECK(server, error == 0 || (tag % 2 == 1 && error == -ECONNRESET));
        close(fd);
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], OTHERS / 2);
}

/* Many slow ends in a row, none of them lost on its way to the committer and back. */
static void slow_ends_of_many(void **state)
{
    struct server *server = *state;
    struct many_peers many = {.server = server,
                              .first_tag = SLOW_TAG + 1,
                              .peers = scale_count(2000, 200),
                              .at_once = 50,
                              .size_min = 8,
                              .size_max = 2000,
                              .abrupt = true};

    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = block_until_gate;
    server_begin(server, many.peers);
    many_peers_run(&many);
    server_await_ends(server, many.peers);
    many_peers_check(&many);
    CHECK_SAME(server, atomic_load(&server->ledger.most_ends_under_way), 1);
    server_finish(server);
}

/* ---- -EINPROGRESS --------------------------------------------------------------------------- */

static int end_in_progress(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    int error;

    (void)end;
    if (entry->tag != SLOW_TAG || gate_is_open(&entry->ledger->gate))
        return 0;
    error = ledger_watch_gate(entry, stream);
    atomic_store(&entry->mark, 1);
    return error ? error : -EINPROGRESS;
}

static void in_progress(void **state)
{
    struct server *server = *state;
    struct ledger_entry *slow;
    int fd;

    server->ledger.hooks.end = end_in_progress;
    server_begin(server, OTHERS + 1);
    fd = send_whole(server, SLOW_TAG, SIZE);
    slow = server_await_tag(server, SLOW_TAG);
    AWAIT(server, atomic_load(&slow->mark) == 1);
    for (uint64_t i = 1; i <= OTHERS; i++) {
        int other = send_whole(server, SLOW_TAG + i, SIZE);

        CHECK_OK(server, peer_await_eof(other));
        close(other);
        server_check_payload(server, SLOW_TAG + i, SIZE, LB_END_EOF);
    }
    AWAIT(server, server_stats(server).active == 1);
    CHECK_SAME(server, atomic_load(&slow->phase), LEDGER_OPEN);
    gate_open(&server->ledger.gate);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    server_check_payload(server, SLOW_TAG, SIZE, LB_END_EOF);
    CHECK(server, atomic_load(&slow->end_calls) >= 2);
    server_finish(server);
}

/* The end of a stream that the peer reset may be in progress as well. */
static void in_progress_of_reset(void **state)
{
    struct server *server = *state;
    int fd;

    server->ledger.hooks.end = end_in_progress;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, SLOW_TAG, 0, SIZE, SIZE));
    CHECK_OK(server, peer_reset_behind(fd));
    AWAIT(server, atomic_load(&server_await_tag(server, SLOW_TAG)->mark) == 1);
    gate_open(&server->ledger.gate);
    server_await_ends(server, 1);
    server_check_payload(server, SLOW_TAG, SIZE, LB_END_RESET);
    server_finish(server);
}

/* ---- a long reply --------------------------------------------------------------------------- */

enum { REPLY_SIZE = 24 << 20, REPLY_TAG = 99 };

/* Replies as much as the connection takes, and goes on when that may be written to again. mark is
 * how much has gone. */
static int reply_at_length(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    const int fd = lb_stream_fd(stream);
    uint64_t replied = atomic_load(&entry->mark);
    uint8_t buffer[16384];
    int error;

    (void)end;
    while (replied < REPLY_SIZE) {
        ssize_t sent;

        payload_fill(REPLY_TAG, replied, buffer, sizeof(buffer));
        sent = send(fd, buffer,
                    REPLY_SIZE - replied < sizeof(buffer) ? (size_t)(REPLY_SIZE - replied)
                                                          : sizeof(buffer),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            error = lb_stream_watch(stream, fd, POLLOUT);
            return error ? error : -EINPROGRESS;
        }
        if (sent < 0)
            return -errno;
        replied += (uint64_t)sent;
        atomic_store(&entry->mark, replied);
    }
    return lb_stream_watch(stream, fd, 0);
}

static void check_long_reply(struct server *server, int fd)
{
    uint8_t got[16384], expected[16384];

    for (uint64_t at = 0; at < REPLY_SIZE; at += sizeof(got)) {
        CHECK_OK(server, peer_receive(fd, got, sizeof(got)));
        payload_fill(REPLY_TAG, at, expected, sizeof(expected));
        CHECK(server, memcmp(got, expected, sizeof(got)) == 0);
    }
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
}

static void long_reply(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.end = reply_at_length;
    server_begin(server, 2);
    for (uint64_t tag = 1; tag <= 2; tag++) {
        int fd = send_whole(server, tag, SIZE);
        struct ledger_entry *entry = server_await_tag(server, tag);

        /* Nothing is read before the connection is full. */
        AWAIT(server, atomic_load(&entry->end_calls) > 0 && !atomic_load(&entry->busy));
        CHECK(server, atomic_load(&entry->mark) < REPLY_SIZE);
        check_long_reply(server, fd);
        server_check_payload(server, tag, SIZE, LB_END_EOF);
        CHECK(server, atomic_load(&entry->end_calls) >= 2);
    }
    server_finish(server);
}

const struct test_case slow_end_cases[] = {
    {"slow_end", slow_end, FAMILY_ANY, 0},
    {"slow_end_fails", slow_end_fails, FAMILY_ANY, 0},
    {"slow_ends_of_many", slow_ends_of_many, FAMILY_ANY, 0},
    {"end_in_progress", in_progress, FAMILY_ANY, 0},
    {"end_in_progress_of_reset", in_progress_of_reset, FAMILY_TCP, 0},
    {"long_reply", long_reply, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
