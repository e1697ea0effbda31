/* SPDX-License-Identifier: MIT */
#define OPENSSL_SUPPRESS_DEPRECATED /* random numbers of our own, in a way that is short */
#include "tls_replay.h"

#include "filter.h"
#include "filters.h"
#include "tls_rig.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "replay: %s\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

/* ---- random numbers -------------------------------------------------------------------------- */

static uint64_t *numbers; /* whose turn it is */

static int random_bytes(unsigned char *bytes, int size)
{
    for (int i = 0; i < size; i++)
        bytes[i] = (unsigned char)random_next(numbers);
    return 1;
}

static int random_status(void)
{
    return 1;
}

static void take_over_random(void)
{
    static const RAND_METHOD method = {
        .bytes = random_bytes, .pseudorand = random_bytes, .status = random_status};

    must(RAND_set_rand_method(&method) == 1, "no random numbers of its own");
}

/* ---- a stream of no engine ------------------------------------------------------------------- */

/* In place of those in stream/filter.c. */
void *__wrap_lb_stage_state(const struct lb_stage *of);
uint8_t *__wrap_lb_stage_scratch(const struct lb_stage *of);
ssize_t __wrap_lb_stage_receive(const struct lb_stage *of, void *data, size_t size, int flags);
int __wrap_lb_stage_say(const struct lb_stage *of, const void *data, size_t size);
bool __wrap_lb_pass(const struct lb_stage *of, const uint8_t *data, size_t size,
                    struct lb_verdict *verdict);
bool __wrap_lb_pass_end(const struct lb_stage *of, struct lb_verdict *verdict);

enum { CLIENTS = 1, SERVERS = 2 }; /* seeds */

static struct lb_notes notes;
static struct lb_lane lane = {.notes = &notes};
static struct lb_stream stream = {.lane = &lane};
static struct lb_stage stage = {.stream = &stream}, back = {.stream = &stream, .back = true};
static uint8_t scratch[LB_SCRATCH_SIZE];
static void *state;

static const uint8_t *waiting; /* what enter has not received yet */
static size_t waiting_size;
static struct replay_outcome *now;
static bool gone;

void *__wrap_lb_stage_state(const struct lb_stage *of)
{
    (void)of;
    return state;
}

uint8_t *__wrap_lb_stage_scratch(const struct lb_stage *of)
{
    (void)of;
    return scratch;
}

ssize_t __wrap_lb_stage_receive(const struct lb_stage *of, void *data, size_t size, int flags)
{
    (void)of;
    (void)flags;
    if (waiting_size == 0)
        return -EAGAIN;
    size = size < waiting_size ? size : waiting_size;
    memcpy(data, waiting, size);
    waiting += size;
    waiting_size -= size;
    return (ssize_t)size;
}

int __wrap_lb_stage_say(const struct lb_stage *of, const void *data, size_t size)
{
    (void)of;
    if (gone)
        return -EPIPE;
    if (stream.wire.queued > 0)
        stream.wire.queued += (uint32_t)size;
    must(now->said_size + size <= REPLAY_SAID_MAX, "too much is said");
    memcpy(now->said + now->said_size, data, size);
    now->said_size += size;
    return 0;
}

/* A sink that answers each time. */
bool __wrap_lb_pass(const struct lb_stage *of, const uint8_t *data, size_t size,
                    struct lb_verdict *verdict)
{
    (void)of;
    (void)verdict;
    if (size == 0)
        return true;
    must(now->plain_size + size <= REPLAY_PLAIN_MAX, "too many bytes");
    memcpy(now->plain + now->plain_size, data, size);
    now->plain_size += size;
    now->unanswered += lb_filter_tls.say(&back, ".", 1) < 0;
    return true;
}

bool __wrap_lb_pass_end(const struct lb_stage *of, struct lb_verdict *verdict)
{
    (void)of;
    *verdict = (struct lb_verdict){.end = LB_END_EOF};
    return false;
}

/* What all streams share, with the one or the other reader of records. */
static const void *settings_of(const char *records)
{
    static struct {
        struct lb_config config;
        const void *settings;
    } both[2];
    static char file[300];
    size_t which = strcmp(records, "libssl") == 0;
    struct lb_error error = {LB_ERROR_INIT};

    if (!file[0]) {
        const char *directory = getenv("TMPDIR");

        snprintf(file, sizeof(file), "%s/lastbyte-replay-%d.pem", directory ? directory : "/tmp",
                 (int)getpid());
        must(tls_rig_identity(file) == 0, "no key");
        for (size_t i = 0; i < 2; i++) {
            lb_config_init(&both[i].config);
            both[i].config.tls = true;
            both[i].config.tls_cert = both[i].config.tls_key = file;
            both[i].config.tls_records = i ? "libssl" : "own";
            must(lb_filter_tls.settle(&both[i].config, &both[i].settings, &error) == 0, error.text);
        }
        unlink(file);
    }
    return both[which].settings;
}

static void open_stream(const char *records, struct replay_outcome *outcome)
{
    const void *settings = settings_of(records);

    memset(outcome, 0, offsetof(struct replay_outcome, plain));
    now = outcome;
    stream.wire = (struct lb_wire){.closing = LB_CLOSING_NOT};
    gone = false;
    state = calloc(1, lb_filter_tls.state_size);
    must(lb_filter_tls.open(&stage, settings) == 0, "no stream");
}

static void close_stream(void)
{
    lb_filter_tls.close(&stage);
    free(state);
}

static int enter(const uint8_t *data, size_t size)
{
    const char *why = NULL;

    waiting = data;
    waiting_size = size;
    return lb_filter_tls.enter(&stage, &why);
}

/* ---- recording ------------------------------------------------------------------------------- */

static const struct replay_suite suites[REPLAY_SUITES] = {
    {"TLS_AES_128_GCM_SHA256", "SHA256", "AES-128-GCM", 32, 16},
    {"TLS_AES_256_GCM_SHA384", "SHA384", "AES-256-GCM", 48, 32},
    {"TLS_CHACHA20_POLY1305_SHA256", "SHA256", "ChaCha20-Poly1305", 32, 32},
};

static void keep_secret(const SSL *ssl, const char *line)
{
    struct replay_client *client = SSL_get_app_data(ssl);

    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
        snprintf(client->secret, sizeof(client->secret), "%s", line);
}

static size_t speak(struct replay_client *client, uint64_t *random, uint8_t *flight)
{
    numbers = random;
    SSL_do_handshake(client->ssl);
    return tls_rig_take(client->ssl, flight, REPLAY_FLIGHT_MAX);
}

void replay_record(struct replay_client *client, unsigned suite)
{
    static struct replay_outcome outcome;
    uint64_t of_client = CLIENTS, of_server = SERVERS;
    SSL_CTX *ctx;

    numbers = &of_client;
    take_over_random();
    ctx = tls_rig_context();
    *client = (struct replay_client){.suite = &suites[suite % REPLAY_SUITES]};
    must(SSL_CTX_set_ciphersuites(ctx, client->suite->name) == 1, "no such suite");
    SSL_CTX_set_keylog_callback(ctx, keep_secret);
    client->ssl = tls_rig_peer(ctx);
    SSL_CTX_free(ctx);
    SSL_set_app_data(client->ssl, client);
    client->hello_size = speak(client, &of_client, client->hello);
    numbers = &of_server;
    open_stream("libssl", &outcome);
    of_server = SERVERS;
    must(enter(client->hello, client->hello_size) == -EAGAIN, "no handshake");
    tls_rig_give(client->ssl, outcome.said, outcome.said_size);
    client->finished_size = speak(client, &of_client, client->finished);
    numbers = &of_server;
    must(enter(client->finished, client->finished_size) == 0, "the handshake fails");
    must(client->secret[0], "no secret");
    close_stream();
}

void replay_forget(struct replay_client *client)
{
    SSL_free(client->ssl);
}

/* ---- replaying ------------------------------------------------------------------------------- */

static size_t next_piece(const struct replay_cut *cut, size_t *index, size_t rest)
{
    size_t most = LB_SCRATCH_SIZE - lb_filter_tls.extra;
    size_t size = cut->count > 0 ? cut->pieces[(*index)++ % cut->count] : 0;

    size = size > 0 && size < rest ? size : rest;
    return size < most ? size : most;
}

void replay_run(const struct replay_client *client, const char *records, const uint8_t *bytes,
                size_t size, const struct replay_cut *cut, struct replay_outcome *outcome)
{
    uint64_t of_server = SERVERS;
    bool going = true;

    numbers = &of_server;
    open_stream(records, outcome);
    of_server = SERVERS;
    must(enter(client->hello, client->hello_size) == -EAGAIN &&
             enter(client->finished, client->finished_size) == 0,
         "a handshake went otherwise than the one that was recorded");
    stream.wire.queued = (uint32_t)cut->unread;
    gone = cut->gone;
    for (size_t at = 0, index = 0, piece; going && at < size; at += piece) {
        size_t before = outcome->plain_size;

        piece = next_piece(cut, &index, size - at);
        going = lb_filter_tls.take(&stage, bytes + at, piece, &outcome->verdict);
        if (outcome->plain_size > before + piece + outcome->most_kept)
            outcome->most_kept = outcome->plain_size - before - piece;
    }
    outcome->over = !going;
    if (going) {
        outcome->verdict = (struct lb_verdict){.end = LB_END_EOF};
        lb_filter_tls.eof(&stage, &outcome->verdict);
    }
    stream.wire.closing = outcome->verdict.end == LB_END_EOF ? LB_CLOSING_PLAIN : LB_CLOSING_RESET;
    lb_filter_tls.finish(&back);
    close_stream();
}

const char *replay_compare(const struct replay_client *client, const uint8_t *bytes, size_t size,
                           const struct replay_cut *cut, const struct replay_outcome **outcome)
{
    static struct replay_outcome own, libssl;
    const char *why = NULL;

    replay_run(client, "own", bytes, size, cut, &own);
    replay_run(client, "libssl", bytes, size, cut, &libssl);
    *outcome = &own;
    if (own.plain_size != libssl.plain_size || memcmp(own.plain, libssl.plain, own.plain_size) != 0)
        why = "other bytes";
    else if (own.verdict.end != libssl.verdict.end || own.verdict.error != libssl.verdict.error ||
             own.over != libssl.over)
        why = "another end";
    else if (!own.verdict.why != !libssl.verdict.why ||
             (own.verdict.why && strcmp(own.verdict.why, libssl.verdict.why) != 0))
        why = "another alert, by name";
    else if (own.said_size != libssl.said_size || own.unanswered != libssl.unanswered ||
             memcmp(own.said, libssl.said, own.said_size) != 0)
        why = "another answer";
    else if (own.most_kept > lb_filter_tls.extra)
        why = "more bytes than a piece may come to";
    return why;
}
