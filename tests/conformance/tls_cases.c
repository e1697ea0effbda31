/* SPDX-License-Identifier: MIT */
/* TLS, byte by byte: peers that speak it in memory, and send what it comes to as a case likes. */
#include "suite.h"

#include "filters.h"
#include "seal.h"
#include "tls_cases.h"
#include "tls_rig.h"
#include "tls_speaker.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t allocated(void)
{
    struct mallinfo2 now = mallinfo2();

    return now.uordblks + now.hblkhd;
}

/* ---- cut off --------------------------------------------------------------------------------- */

static void cut_everywhere(void **state)
{
    struct server *server = *state;
    struct speaker speaker;
    size_t size = SIZE_MAX, whole;

    server_begin(server, 1000);
    for (size_t cut = 0; cut <= size; cut++) {
        const struct ledger_entry *entry;

        whole = speaker_compose(server, &speaker);
        size = speaker.size;
        speaker_say(server, &speaker, 0, cut);
        shutdown(speaker.fd, SHUT_WR);
        entry = speaker_last_end(server, cut + 1);
        CHECK_SAME(server, entry->end, cut == size ? LB_END_EOF : LB_END_TRUNCATED);
        CHECK_SAME(server, atomic_load(&entry->bytes),
                   cut * SPEAKER_PARTS / whole * SPEAKER_PLAIN / SPEAKER_PARTS >= SPEAKER_PLAIN
                       ? SPEAKER_PLAIN
                       : cut / (whole / SPEAKER_PARTS) * SPEAKER_PLAIN / SPEAKER_PARTS);
        speaker_leave(&speaker);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 1);
    CHECK_SAME(server, server->stats.unproven, 0);
}

/* In its handshake, where there is no stream yet. */
static void cut_in_the_handshake(void **state)
{
    struct server *server = *state;
    SSL_CTX *ctx = tls_rig_context();
    uint8_t hello[4096];
    size_t size = 1, cut;

    server_begin(server, 1);
    for (cut = 0; cut < size; cut += 1 + cut / 8) {
        SSL *peer = tls_rig_peer(ctx);
        int fd = speaker_connect(server);

        SSL_do_handshake(peer);
        size = tls_rig_take(peer, hello, sizeof(hello));
        CHECK_OK(server, peer_send(fd, hello, cut));
        shutdown(fd, SHUT_WR);
        (void)peer_await_eof(fd);
        close(fd);
        SSL_free(peer);
    }
    SSL_CTX_free(ctx);
    server_finish(server);
    CHECK(server, server->stats.failed_preludes > 10);
    CHECK_SAME(server, server->stats.accepted, 0);
    CHECK(server, strstr(server->warnings, "tls: closed in its handshake"));
}

static void damaged_everywhere(void **state)
{
    struct server *server = *state;
    struct speaker speaker;
    size_t size = SIZE_MAX;

    server_begin(server, 1000);
    for (size_t at = 0; at < size; at++) {
        speaker_compose(server, &speaker);
        size = speaker.size;
        speaker.cipher[at] ^= (uint8_t)(1 << at % 8);
        (void)peer_send(speaker.fd, speaker.cipher, size);
        shutdown(speaker.fd, SHUT_WR);
        CHECK(server, speaker_last_end(server, at + 1)->end != LB_END_EOF);
        speaker_leave(&speaker);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 0);
    CHECK(server, strstr(server->warnings, "error after 0 bytes (bad-record-mac)"));
}

/* ---- in pieces ------------------------------------------------------------------------------- */

static void await_received(struct server *server, uint64_t receives)
{
    AWAIT(server, server_stats(server).receives > receives);
}

static void split_everywhere(void **state)
{
    struct server *server = *state;
    struct speaker speaker;
    size_t size = SIZE_MAX;

    server_begin(server, 1000);
    for (size_t at = 1; at < size; at++) {
        uint64_t receives = server_stats(server).receives;

        speaker_compose(server, &speaker);
        size = speaker.size;
        speaker_say(server, &speaker, 0, at);
        await_received(server, receives);
        speaker_say(server, &speaker, at, size);
        speaker_check_whole(server, at);
        speaker_leave(&speaker);
    }
    server_finish(server);
}

/* A byte in each chunk; and each of the handshake's in a segment of its own. */
static void byte_by_byte(void **state)
{
    struct server *server = *state;
    struct speaker speaker;

    server_begin(server, 1);
    speaker_compose(server, &speaker);
    for (size_t at = 0; at < speaker.size; at++) {
        uint64_t receives = server_stats(server).receives;

        speaker_say(server, &speaker, at, at + 1);
        await_received(server, receives);
    }
    speaker_check_whole(server, 1);
    speaker_leave(&speaker);
    server_finish(server);
}

/* Whoever has accepted it has read a part of the handshake's first message. */
static void adopted_in_its_handshake(void **state)
{
    struct server *server = *state;
    struct speaker speaker = {.ctx = tls_rig_context()};
    uint8_t hello[4096];
    size_t size, part;
    int pair[2];

    server_begin(server, 3);
    for (size_t i = 0; i < 3; i++) {
        speaker.peer = tls_rig_peer(speaker.ctx);
        speaker.size = 0;
        CHECK_SAME(server, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        speaker.fd = pair[1];
        SSL_do_handshake(speaker.peer);
        size = tls_rig_take(speaker.peer, hello, sizeof(hello));
        part = i * size / 2; /* nothing, half of it, all of it */
        CHECK_OK(server, lb_engine_adopt(server->engine, pair[0], hello, part, NULL));
        CHECK_OK(server, peer_send(speaker.fd, hello + part, size - part));
        CHECK_OK(server, tls_rig_shake(speaker.peer, speaker.fd));
        speaker_add(server, &speaker, speaker_plain, SPEAKER_PLAIN);
        speaker_add_end(server, &speaker);
        speaker_say(server, &speaker, 0, speaker.size);
        speaker_check_whole(server, i + 1);
        SSL_free(speaker.peer);
        close(speaker.fd);
    }
    SSL_CTX_free(speaker.ctx);
    server_finish(server);
}

/* So many that libssl's memory, and the engine's, would show what is kept of each. A thread that
 * has its first stream only now has glibc's cache of freed blocks besides, of up to 7 blocks of
 * each of 64 sizes up to 1 KiB (malloc/malloc.c, TCACHE_FILL_COUNT). */
static void many_short_streams(void **state)
{
    struct server *server = *state;
    const struct many_peers many = {.server = server,
                                    .first_tag = 1,
                                    .peers = scale_count(10000, 300),
                                    .at_once = 100,
                                    .size_min = 8,
                                    .size_max = 300};
    size_t before = 0, most;

    server_begin(server, many.peers + 100);
    for (int round = 0; round < 2; round++) {
        const struct many_peers warm = {.server = server,
                                        .first_tag = many.peers + 1,
                                        .peers = 100,
                                        .at_once = 100,
                                        .size_min = 8,
                                        .size_max = 300};

        many_peers_run(round ? &many : &warm);
        AWAIT(server, server_stats(server).active == 0);
        before = round ? before : allocated();
    }
    many_peers_check(&many);
    most = before + 100 * many.peers + (1 << 20) + server_stats(server).workers * (256 << 10);
    CHECK(server, allocated() < most);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], many.peers + 100);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Whatever stands behind the end is dropped, and the connection closed in order. */
static void bytes_behind_the_end(void **state)
{
    static const uint8_t behind[100000];
    struct server *server = *state;
    struct speaker speaker;
    char heard[10];

    server_begin(server, 1);
    speaker_compose(server, &speaker);
    speaker_say(server, &speaker, 0, speaker.size);
    CHECK_OK(server, peer_send(speaker.fd, behind, sizeof(behind)));
    shutdown(speaker.fd, SHUT_WR);
    CHECK_SAME(server, tls_rig_hear(speaker.peer, speaker.fd, heard, sizeof(heard)), 0);
    speaker_check_whole(server, 1);
    speaker_leave(&speaker);
    server_finish(server);
}

static void ask_for_answers(struct server *server)
{
    server->config.greeting = "hello\n";
    server->config.greeting_size = 6;
    server->config.receipt = "xxh3";
}

/* Its end is the close_notify: it keeps its side open, and hears a greeting, a receipt and an end
 * in TLS before ours. */
static void answers_in_tls(void **state)
{
    struct server *server = *state;
    struct speaker speaker;
    char heard[400] = "";
    long size;

    ask_for_answers(server);
    server_begin(server, 1);
    speaker_compose(server, &speaker);
    speaker_say(server, &speaker, 0, speaker.size);
    size = tls_rig_hear(speaker.peer, speaker.fd, heard, sizeof(heard) - 1);
    CHECK(server, size > 0);
    CHECK(server, strncmp(heard, "hello\nok 60 xxh3:", 17) == 0);
    speaker_leave(&speaker);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 1);
}

/* A letter for each record that comes. */
static void note_record(int writing, int version, int type, const void *data, size_t size, SSL *ssl,
                        void *argument)
{
    char *records = argument;

    (void)version;
    (void)ssl;
    if (writing || type != SSL3_RT_INNER_CONTENT_TYPE || size != 1)
        return;
    records += strlen(records);
    *records = *(const uint8_t *)data == SSL3_RT_HANDSHAKE          ? 'k'
               : *(const uint8_t *)data == SSL3_RT_APPLICATION_DATA ? 'c'
                                                                    : 'e';
}

/* However often it is asked for new keys, it has some before it says more. */
static void asked_for_new_keys(void **state)
{
    enum { OFTEN = 40 };
    struct server *server = *state;
    struct speaker speaker;
    char heard[400] = "", records[OFTEN + 10] = "";
    size_t updates;

    ask_for_answers(server);
    server_begin(server, 1);
    speaker_shake(server, &speaker);
    SSL_set_msg_callback(speaker.peer, note_record);
    SSL_set_msg_callback_arg(speaker.peer, records);
    for (int i = 0; i < OFTEN; i++) {
        SSL_key_update(speaker.peer, SSL_KEY_UPDATE_REQUESTED);
        CHECK_SAME(server, SSL_do_handshake(speaker.peer), 1);
    }
    speaker_add(server, &speaker, speaker_plain, SPEAKER_PLAIN);
    speaker_add_end(server, &speaker);
    speaker_say(server, &speaker, 0, speaker.size);
    CHECK(server, tls_rig_hear(speaker.peer, speaker.fd, heard, sizeof(heard) - 1) > 0);
    CHECK(server, strncmp(heard, "hello\nok 60 xxh3:", 17) == 0);
    updates = strspn(records + 1, "k");
    CHECK(server, *records == 'c' && updates > 0 && strcmp(records + 1 + updates, "ce") == 0);
    speaker_check_whole(server, 1);
    speaker_leave(&speaker);
    server_finish(server);
}

/* A stream that isn't whole has no end in TLS that looks as if it were. */
static void no_end_for_a_part(void **state)
{
    struct server *server = *state;
    struct speaker speaker;
    char heard[10];

    server->config.max_bytes = SPEAKER_PLAIN - 1;
    server_begin(server, 1);
    speaker_compose(server, &speaker);
    speaker_say(server, &speaker, 0, speaker.size);
    CHECK_SAME(server, tls_rig_hear(speaker.peer, speaker.fd, heard, sizeof(heard)), (uint64_t)-1);
    CHECK_SAME(server, speaker_last_end(server, 1)->end, LB_END_LIMIT);
    speaker_leave(&speaker);
    server_finish(server);
}

static void a_fin_that_is_allowed(void **state)
{
    struct server *server = *state;
    struct speaker speaker;
    size_t whole;

    server->config.tls_allow_fin = true;
    server_begin(server, 3);
    for (size_t i = 0; i < 3; i++) {
        whole = speaker_compose(server, &speaker);
        speaker_say(server, &speaker, 0, i == 0 ? speaker.size : i == 1 ? whole : whole - 1);
        shutdown(speaker.fd, SHUT_WR);
        CHECK_SAME(server, speaker_last_end(server, i + 1)->end,
                   i < 2 ? LB_END_EOF : LB_END_TRUNCATED);
        speaker_leave(&speaker);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 2);
    CHECK_SAME(server, server->stats.unproven, 1);
}

/* The seal behind it has its say, too. */
static void sealed_in_tls(void **state)
{
    struct server *server = *state;

    server->config.seal = true;
    server_begin(server, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct lb_seal_key no_key = {0};
        char first[LB_SEAL_FIRST_MAX], end[LB_SEAL_END_SIZE];
        struct lb_seal seal = {0};
        struct speaker speaker;
        long size = lb_seal_begin(&seal, LB_SEAL_SHA256, &no_key, first);

        CHECK(server, size > 0);
        CHECK_OK(server, lb_seal_add(&seal, speaker_plain, SPEAKER_PLAIN));
        CHECK_OK(server, lb_seal_end(&seal, end));
        lb_seal_close(&seal);
        speaker_shake(server, &speaker);
        speaker_add(server, &speaker, first, (size_t)size);
        speaker_add(server, &speaker, speaker_plain, SPEAKER_PLAIN);
        speaker_add(server, &speaker, end, sizeof(end) - i); /* the second lacks a byte */
        speaker_add_end(server, &speaker);
        speaker_say(server, &speaker, 0, speaker.size);
        CHECK_SAME(server, speaker_last_end(server, i + 1)->end, i ? LB_END_TRUNCATED : LB_END_EOF);
        speaker_leave(&speaker);
    }
    server_finish(server);
}

/* ---- what it costs --------------------------------------------------------------------------- */

/* All idle, and then some with half of the largest record under way. */
static void memory_of_streams(void **state)
{
    enum { BUSY = 50, IDLE_MOST = 16 << 10, RECORD = 16 << 10 };
    enum { HEAP = 4 << 20, PIECE = 32, SECRET_MOST = 64 }; /* as tools/command/secrets.c has them */
    const size_t record_most = lb_filter_tls.beside, wanted = scale_count(10000, BUSY);
    const size_t room = (process_raise_fd_limit(2 * wanted + 1000) - 1000) / 2;
    const size_t streams = wanted < room ? wanted : room;
    static struct speaker speakers[BUSY + 1]; /* the last is each of the others in turn */
    static const uint8_t zeros[RECORD];
    struct server *server = *state;
    size_t before, secret, idle, busy;
    uint64_t receives;
    int *fds;

    if (suite_is_blocking())
        skip(); /* each has a thread, which has its own */
    CRYPTO_secure_malloc_init(HEAP, PIECE);
    fds = calloc(streams, sizeof(*fds));
    CHECK(server, fds);
    server_begin(server, streams + 1);
    speaker_compose(server, &speakers[0]); /* what libssl keeps once and for all */
    speaker_say(server, &speakers[0], 0, speakers[0].size);
    speaker_check_whole(server, 1);
    speaker_leave(&speakers[0]);
    before = allocated();
    secret = CRYPTO_secure_used();
    for (size_t i = 0; i < streams; i++) {
        struct speaker *speaker = &speakers[i < BUSY ? i : BUSY];

        speaker_shake(server, speaker);
        if (i < BUSY)
            speaker_add(server, speaker, zeros, RECORD);
        SSL_free(speaker->peer);
        SSL_CTX_free(speaker->ctx);
        fds[i] = speaker->fd;
    }
    AWAIT(server, server_stats(server).active == streams);
    idle = (allocated() - before) / streams;
    secret = (CRYPTO_secure_used() - secret) / streams;
    receives = server_stats(server).receives;
    before = allocated();
    for (size_t i = 0; i < BUSY; i++)
        speaker_say(server, &speakers[i], 0, RECORD / 2);
    AWAIT(server, server_stats(server).receives >= receives + BUSY);
    busy = idle + (allocated() - before) / BUSY;
    for (size_t i = 0; i < streams; i++)
        close(fds[i]);
    free(fds);
    print_message("%zu streams: %zu bytes for an idle one, %zu with a record under way, %zu for "
                  "private keys\n",
                  streams, idle, busy, secret);
    CHECK(server, secret <= SECRET_MOST);
    CHECK(server, idle <= IDLE_MOST);
    CHECK(server, busy <= record_most);
    server_finish(server);
}

const struct test_case tls_cases[] = {
    {"tls_cut_everywhere", cut_everywhere, FAMILY_ANY, 0},
    {"tls_cut_in_the_handshake", cut_in_the_handshake, FAMILY_ANY, 0},
    {"tls_damaged_everywhere", damaged_everywhere, FAMILY_ANY, 0},
    {"tls_split_everywhere", split_everywhere, FAMILY_ANY, 0},
    {"tls_byte_by_byte", byte_by_byte, FAMILY_ANY, 0},
    {"tls_adopted_in_its_handshake", adopted_in_its_handshake, FAMILY_ANY, 0},
    {"tls_many_short_streams", many_short_streams, FAMILY_ANY, 0},
    {"tls_bytes_behind_the_end", bytes_behind_the_end, FAMILY_ANY, 0},
    {"tls_answers_in_tls", answers_in_tls, FAMILY_ANY, 0},
    {"tls_asked_for_new_keys", asked_for_new_keys, FAMILY_ANY, 0},
    {"tls_no_end_for_a_part", no_end_for_a_part, FAMILY_ANY, 0},
    {"tls_a_fin_that_is_allowed", a_fin_that_is_allowed, FAMILY_ANY, 0},
    {"tls_sealed_in_tls", sealed_in_tls, FAMILY_ANY, 0},
    {"tls_memory_of_streams", memory_of_streams, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
