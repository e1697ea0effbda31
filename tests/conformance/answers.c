/* SPDX-License-Identifier: MIT */
/* What a sink says to its peer while bytes come, and behind the last one. */
#include "suite.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than a connection takes that nobody reads from. */
enum { ECHOED = 24 << 20, QUEUED = 48 << 10 };

/* Says what it is given, as far as it may. */
static ssize_t echo(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                    size_t size)
{
    ssize_t said = lb_stream_say(stream, data, size);

    (void)entry;
    return said == -EAGAIN ? 0 : said;
}

/* The peer's own bytes, from a sender that shares its connection. */
static void check_echo(struct server *server, int fd, uint64_t tag, uint64_t size)
{
    uint8_t data[65536], expected[65536];

    for (uint64_t heard = 0; heard < size;) {
        size_t part = size - heard < sizeof(data) ? (size_t)(size - heard) : sizeof(data);

        CHECK_OK(server, peer_receive(fd, data, part));
        payload_fill(tag, heard, expected, part);
        CHECK(server, memcmp(data, expected, part) == 0);
        heard += part;
    }
}

struct half_duplex {
    int fd;
    uint64_t tag, size;
};

static void *send_all(void *argument)
{
    const struct half_duplex *half = argument;
    intptr_t rc = peer_send_payload(half->fd, half->tag, 0, half->size, 30000);

    shutdown(half->fd, SHUT_WR);
    return (void *)rc;
}

/* The peer doesn't listen at first: the stream pauses, and nothing is lost either way. */
static void an_echo(void **state)
{
    struct server *server = *state;
    const uint64_t size = scale_count(ECHOED, ECHOED / 4);
    struct half_duplex half = {.tag = 1, .size = size};
    pthread_t sender;
    void *rc;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = echo;
    server_begin(server, 1);
    half.fd = server_connect(server);
    CHECK_SAME(server, pthread_create(&sender, NULL, send_all, &half), 0);
    AWAIT(server, atomic_load(&server_await_tag(server, 1)->bytes) > QUEUED);
    check_echo(server, half.fd, 1, size);
    CHECK_OK(server, peer_await_eof(half.fd));
    CHECK_SAME(server, pthread_join(sender, &rc), 0);
    CHECK(server, rc == NULL);
    close(half.fd);
    server_await_ends(server, 1);
    server_check_payload(server, 1, size, LB_END_EOF);
    server_finish(server);
}

/* Says until nothing more is taken. */
static ssize_t say_much(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                        size_t size)
{
    static const uint8_t zeros[65536];
    ssize_t said;

    (void)data;
    while ((said = lb_stream_say(stream, zeros, sizeof(zeros))) > 0)
        atomic_fetch_add(&entry->mark, (uint64_t)said);
    if (said != -EAGAIN)
        ledger_complain(entry->ledger, "a full connection: %s", strerror((int)-said));
    return (ssize_t)size;
}

static int wait_at_end(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    gate_wait(&entry->ledger->gate);
    return 0;
}

/* All that was said arrives, though the peer begins to listen only while the sink's end blocks. */
static void heard_during_a_slow_end(void **state)
{
    struct server *server = *state;
    struct ledger_entry *entry;
    uint64_t heard = 0;
    char data[65536];
    ssize_t got;
    int fd;

    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.write = say_much;
    server->ledger.hooks.end = wait_at_end;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, PAYLOAD_TAG_SIZE, PAYLOAD_TAG_SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    entry = server_await_tag(server, 1);
    AWAIT(server, atomic_load(&entry->end_calls) == 1);
    while (heard < atomic_load(&entry->mark)) {
        got = recv(fd, data, sizeof(data), 0);
        CHECK(server, got > 0);
        heard += (uint64_t)got;
    }
    gate_open(&server->ledger.gate);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    CHECK_SAME(server, heard, atomic_load(&entry->mark));
    server_check_payload(server, 1, PAYLOAD_TAG_SIZE, LB_END_EOF);
    server_finish(server);
}

const struct test_case answers_cases[] = {
    {"an_echo", an_echo, FAMILY_ANY, 0},
    {"heard_during_a_slow_end", heard_during_a_slow_end, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
