/* SPDX-License-Identifier: MIT */
/* What the peer does last decides the end, and takes no byte with it. */
#include "suite.h"

#include <sys/socket.h>
#include <unistd.h>

/* As much as a connection that nobody has accepted yet takes, over any family. */
enum { QUEUED_SIZE = 30000, SIZE = 100000 };

static const char greeting[] = "hello\n";

static void eof_behind_queued_data(void **state)
{
    static const uint64_t sizes[] = {8, 9, 4096, QUEUED_SIZE};
    struct server *server = *state;

    server_open(server, 4);
    for (uint64_t i = 0; i < 4; i++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, i + 1, 0, sizes[i], QUEUED_SIZE));
        close(fd);
    }
    server_start(server);
    server_await_ends(server, 4);
    for (uint64_t i = 0; i < 4; i++)
        server_check_payload(server, i + 1, sizes[i], LB_END_EOF);
    server_finish(server);
}

static void reset_after_data(void **state)
{
    struct server *server = *state;
    int fd;

    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_OK(server, peer_reset_behind(fd));
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_RESET);
    server_finish(server);
}

static void reset_behind_queued_data(void **state)
{
    struct server *server = *state;
    int fd;

    server_open(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, QUEUED_SIZE, QUEUED_SIZE));
    CHECK_OK(server, peer_reset_behind(fd));
    server_start(server);
    server_await_ends(server, 1);
    server_check_payload(server, 1, QUEUED_SIZE, LB_END_RESET);
    server_finish(server);
}

static void reset_while_idle(void **state)
{
    struct server *server = *state;
    int fd;

    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    AWAIT(server, atomic_load(&server_await_tag(server, 1)->bytes) == SIZE);
    CHECK_OK(server, peer_reset(fd));
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_RESET);
    server_finish(server);
}

/* ---- greeting ------------------------------------------------------------------------------- */

static void use_greeting(struct server *server)
{
    server->config.greeting = greeting;
    server->config.greeting_size = strlen(greeting);
}

static void await_greeting(struct server *server, int fd)
{
    char text[sizeof(greeting)] = "";

    CHECK_SAME(server, recv(fd, text, strlen(greeting), MSG_PEEK | MSG_WAITALL), strlen(greeting));
    CHECK(server, strcmp(text, greeting) == 0);
}

/* The conversation: the server greets, the client answers. */
static void greeting_first(void **state)
{
    struct server *server = *state;
    uint8_t expected[LB_GREETING_MAX], text[LB_GREETING_MAX];

    payload_fill(1, 0, expected, sizeof(expected)); /* any bytes, zeros among them */
    server->config.greeting = expected;
    server->config.greeting_size = sizeof(expected);
    server_begin(server, 10);
    for (uint64_t tag = 1; tag <= 10; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_receive(fd, text, sizeof(text)));
        CHECK(server, memcmp(text, expected, sizeof(text)) == 0);
        CHECK_OK(server, peer_send_payload(fd, tag, 0, SIZE, SIZE));
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    }
    server_finish(server);
}

/* The peer closes and leaves the greeting unread: a reset, behind all of its bytes. */
static void greeting_unread(void **state)
{
    struct server *server = *state;
    int fd;

    use_greeting(server);
    server_begin(server, 1);
    fd = server_connect(server);
    await_greeting(server, fd);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    if (suite_is_tcp())
        CHECK_OK(server, peer_await_acked(fd));
    close(fd);
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_RESET);
    server_finish(server);
}

/* Over TCP what was half-closed is complete, whatever the peer leaves unread afterwards. */
static void greeting_unread_after_half_close(void **state)
{
    struct server *server = *state;
    int fd;

    use_greeting(server);
    server_begin(server, 1);
    fd = server_connect(server);
    await_greeting(server, fd);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    CHECK_OK(server, peer_await_acked(fd));
    close(fd);
    server_await_ends(server, 1);
    server_check_payload(server, 1, SIZE, LB_END_EOF);
    server_finish(server);
}

/* The peer has closed before it could be greeted. What it sent is complete all the same. */
static void greeting_too_late(void **state)
{
    struct server *server = *state;

    use_greeting(server);
    server_open(server, 20);
    for (uint64_t tag = 1; tag <= 20; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, tag, 0, QUEUED_SIZE, QUEUED_SIZE));
        close(fd);
    }
    server_start(server);
    server_await_ends(server, 20);
    for (uint64_t tag = 1; tag <= 20; tag++)
        server_check_payload(server, tag, QUEUED_SIZE, LB_END_EOF);
    server_finish(server);
}

/* ---- after EOF ------------------------------------------------------------------------------ */

static int reply(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    const uint64_t bytes = lb_stream_bytes(stream);

    if (end == LB_END_EOF && send(lb_stream_fd(stream), &bytes, sizeof(bytes),
                                  MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(bytes))
        ledger_complain(entry->ledger, "the reply: %s", strerror(errno));
    return 0;
}

static void half_close_with_reply(void **state)
{
    struct server *server = *state;
    uint64_t answer;

    server->ledger.hooks.end = reply;
    server_begin(server, 10);
    for (uint64_t tag = 1; tag <= 10; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, tag, 0, 10000 * tag, SIZE));
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
        CHECK_OK(server, peer_receive(fd, &answer, sizeof(answer)));
        CHECK_SAME(server, answer, 10000 * tag);
        CHECK_OK(server, peer_await_eof(fd));
        close(fd);
        server_check_payload(server, tag, 10000 * tag, LB_END_EOF);
    }
    server_finish(server);
}

/* ---- urgent data ---------------------------------------------------------------------------- */

static void send_urgent(struct server *server, const char *before, const char *behind)
{
    int fd = server_connect(server);

    CHECK_OK(server, peer_send(fd, before, strlen(before)));
    CHECK_SAME(server, send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    CHECK_OK(server, peer_finish(fd, behind, strlen(behind)));
}

/* The urgent byte is where it was sent. */
static void out_of_band_byte(void **state)
{
    struct server *server = *state;

    server_begin(server, 4);
    send_urgent(server, "abc", "def");
    server_check_bytes(server, 0, "abc!def", 7, LB_END_EOF);
    send_urgent(server, "abc", "");
    server_check_bytes(server, 1, "abc!", 4, LB_END_EOF);
    send_urgent(server, "", "def");
    server_check_bytes(server, 2, "!def", 4, LB_END_EOF);
    send_urgent(server, "", "");
    server_check_bytes(server, 3, "!", 1, LB_END_EOF);
    server_finish(server);
}

/* The same when the stream is idle as the byte comes, and goes on afterwards. */
static void out_of_band_byte_while_idle(void **state)
{
    struct server *server = *state;
    int fd;

    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "abc", 3));
    AWAIT(server, server_stats(server).bytes == 3);
    CHECK_SAME(server, send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    AWAIT(server, server_stats(server).bytes == 4);
    CHECK_OK(server, peer_finish(fd, "def", 3));
    server_check_bytes(server, 0, "abc!def", 7, LB_END_EOF);
    server_finish(server);
}

const struct test_case ends_cases[] = {
    {"eof_behind_queued_data", eof_behind_queued_data, FAMILY_ANY, 0},
    {"reset_after_data", reset_after_data, FAMILY_TCP, 0},
    {"reset_behind_queued_data", reset_behind_queued_data, FAMILY_TCP, 0},
    {"reset_while_idle", reset_while_idle, FAMILY_TCP, 0},
    {"greeting_first", greeting_first, FAMILY_ANY, 0},
    {"greeting_unread", greeting_unread, FAMILY_ANY, 0},
    {"greeting_unread_after_half_close", greeting_unread_after_half_close, FAMILY_TCP, 0},
    {"greeting_too_late", greeting_too_late, FAMILY_ANY, 0},
    {"half_close_with_reply", half_close_with_reply, FAMILY_ANY, 0},
    {"out_of_band_byte", out_of_band_byte, FAMILY_TCP, 0},
    {"out_of_band_byte_while_idle", out_of_band_byte_while_idle, FAMILY_TCP, 0},
    {NULL, NULL, 0, 0},
};
