/* SPDX-License-Identifier: MIT */
/* Peers that mean no stream, or end it in a way of their own. */
#include "tls_cases.h"
#include "tls_rig.h"
#include "tls_speaker.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- strangers ------------------------------------------------------------------------------- */

static void a_peer_that_stops_in_its_handshake(void **state)
{
    struct server *server = *state;
    SSL_CTX *ctx = tls_rig_context();
    SSL *peer = tls_rig_peer(ctx);
    uint8_t hello[4096];
    struct speaker speaker;
    int fd;

    server->config.handshake_timeout_ms = 150;
    server_begin(server, 1);
    SSL_do_handshake(peer);
    fd = speaker_connect(server);
    CHECK_OK(server, peer_send(fd, hello, tls_rig_take(peer, hello, sizeof(hello)) / 2));
    speaker_compose(server, &speaker);
    speaker_say(server, &speaker, 0, speaker.size);
    speaker_check_whole(server, 1);
    speaker_leave(&speaker);
    speaker_await_refusals(server, 1);
    CHECK(server, peer_await_eof(fd) <= 0);
    close(fd);
    SSL_free(peer);
    SSL_CTX_free(ctx);
    server_finish(server);
    CHECK(server, strstr(server->warnings, "timeout: turned away (tls: handshake-timeout)"));
}

static void garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } garbage[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\x15\x03\x03\0\x02\x02\x28", 7},
        {"\x16\x03\x01\xff\xff\x01", 6},
        {"\x16\x03\x01\0\x04\x01\0\0\0", 9},
        {"\x16\x03\x03\0\x05\x14\0\0\x01\0", 10},
        {"\x16garbagegarbagegarbagegarbage", 29},
        {"\0", 1},
    };
    enum { COUNT = sizeof(garbage) / sizeof(garbage[0]) };
    struct server *server = *state;
    struct speaker speaker;

    server_begin(server, 1);
    for (size_t i = 0; i < COUNT; i++) {
        int fd = speaker_connect(server);

        CHECK_OK(server, peer_send(fd, garbage[i].bytes, garbage[i].size));
        shutdown(fd, SHUT_WR);
        CHECK(server, peer_await_eof(fd) <= 0);
        close(fd);
        speaker_await_refusals(server, i + 1);
    }
    speaker_compose(server, &speaker);
    speaker_say(server, &speaker, 0, speaker.size);
    speaker_check_whole(server, 1);
    speaker_leave(&speaker);
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, COUNT);
    CHECK(server, strstr(server->warnings, "(tls: plain bytes, no TLS)"));
}

/* Its first message comes in records of a byte each, so that they are far more than it has. */
static void a_handshake_without_end(void **state)
{
    enum { RECORDS = 100000, MESSAGE = 130000, CLIENT_HELLO = 1 };
    static const uint8_t head[] = {CLIENT_HELLO, MESSAGE >> 16, MESSAGE >> 8 & 0xff,
                                   MESSAGE & 0xff};
    static uint8_t records[RECORDS][6];
    struct server *server = *state;
    struct speaker speaker;
    int fd;

    for (size_t i = 0; i < RECORDS; i++) {
        const uint8_t record[] = {22, 3, 1, 0, 1, i < sizeof(head) ? head[i] : 3};

        memcpy(records[i], record, sizeof(record));
    }
    server_begin(server, 1);
    fd = speaker_connect(server);
    (void)peer_send(fd, records, sizeof(records));
    speaker_await_refusals(server, 1);
    close(fd);
    speaker_compose(server, &speaker);
    speaker_say(server, &speaker, 0, speaker.size);
    speaker_check_whole(server, 1);
    speaker_leave(&speaker);
    server_finish(server);
    CHECK(server, strstr(server->warnings, "turned away (tls: too many bytes)"));
}

/* Without a byte for the stream they would only cost time: each new key is derived. */
static void keys_without_end(void **state)
{
    enum { ALLOWED = 40, MANY = 400 };
    struct server *server = *state;
    struct speaker speaker;

    server_begin(server, 2);
    for (int round = 0; round < 2; round++) {
        speaker_shake(server, &speaker);
        for (int i = 0; i < (round ? MANY : ALLOWED); i++) {
            SSL_key_update(speaker.peer, SSL_KEY_UPDATE_REQUESTED);
            SSL_do_handshake(speaker.peer);
        }
        speaker_add(server, &speaker, speaker_plain, SPEAKER_PLAIN);
        speaker_add_end(server, &speaker);
        (void)peer_send(speaker.fd, speaker.cipher, speaker.size);
        server_await_ends(server, (size_t)round + 1);
        speaker_leave(&speaker);
    }
    server_check_bytes(server, 0, speaker_plain, SPEAKER_PLAIN, LB_END_EOF);
    CHECK_SAME(server, server_entry(server, 1)->end, LB_END_LIMIT);
    server_finish(server);
    CHECK(server, strstr(server->warnings, "(key-updates)"));
}

/* ---- what it says of itself ------------------------------------------------------------------ */

/* Damaged answers make it send an alert: what came before is no whole stream. */
static void an_alert_in_mid_stream(void **state)
{
    static const uint8_t damaged[] = {23,  3,   3,   0,   20,  'd', 'a', 'm', 'a',
                                      'g', 'e', 'd', ' ', 'i', 'n', ' ', 'm', 'a',
                                      'n', 'y', ' ', 'w', 'a', 'y', 's'};
    struct server *server = *state;
    struct speaker speaker;
    char heard[10];

    server->config.receipt = "xxh3";
    server_begin(server, 1);
    speaker_shake(server, &speaker);
    speaker_add(server, &speaker, speaker_plain, SPEAKER_PLAIN);
    tls_rig_give(speaker.peer, damaged, sizeof(damaged));
    CHECK(server, SSL_read(speaker.peer, heard, sizeof(heard)) < 0);
    speaker_add(server, &speaker, NULL, 0);
    speaker_say(server, &speaker, 0, speaker.size);
    CHECK_SAME(server, speaker_last_end(server, 1)->end, LB_END_RESET);
    server_check_bytes(server, 0, speaker_plain, SPEAKER_PLAIN, LB_END_RESET);
    speaker_leave(&speaker);
    server_finish(server);
    CHECK(server, strstr(server->warnings, "(alert-bad-record-mac)"));
}

const struct test_case tls_strangers_cases[] = {
    {"tls_a_peer_that_stops_in_its_handshake", a_peer_that_stops_in_its_handshake, FAMILY_ANY, 0},
    {"tls_garbage", garbage, FAMILY_ANY, 0},
    {"tls_a_handshake_without_end", a_handshake_without_end, FAMILY_ANY, 0},
    {"tls_keys_without_end", keys_without_end, FAMILY_ANY, 0},
    {"tls_an_alert_in_mid_stream", an_alert_in_mid_stream, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
