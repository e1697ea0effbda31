/* SPDX-License-Identifier: MIT */
/* New keys in time: a client and a server of libssl's, in memory. */
#include "unit.h"

#include "support.h"
#include "tls.h"
#include "tls_rig.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FULL = 16 << 10, ROOM = FULL + 2000 /* on the way to the server: for one record */ };

#define USED_UP ((uint64_t)1 << 23)

struct pair {
    SSL_CTX *ctx, *server_ctx;
    SSL *client, *server;
    uint64_t records;
    unsigned updates; /* that the server was told of */
    size_t heard;
};

static void on_message(int writing, int version, int type, const void *data, size_t size, SSL *ssl,
                       void *argument)
{
    struct pair *pair = argument;

    (void)version;
    (void)ssl;
    pair->updates += !writing && type == SSL3_RT_HANDSHAKE && size > 0 &&
                     *(const uint8_t *)data == SSL3_MT_KEY_UPDATE;
}

static SSL_CTX *make_server(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char directory[200], file[220];

    assert_int_equal(directory_make(directory, sizeof(directory)), 0);
    snprintf(file, sizeof(file), "%s/both.pem", directory);
    assert_int_equal(tls_rig_identity(file), 0);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, file), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM), 1);
    directory_remove(directory);
    return ctx;
}

static void hear(struct pair *pair)
{
    static char heard[FULL];
    int got;

    while ((got = SSL_read(pair->server, heard, sizeof(heard))) > 0)
        pair->heard += (size_t)got;
    assert_int_equal(SSL_get_error(pair->server, got), SSL_ERROR_WANT_READ);
}

static void meet(struct pair *pair, int version)
{
    BIO *ours, *theirs;

    *pair = (struct pair){.ctx = tls_rig_context(), .server_ctx = make_server()};
    assert_int_equal(lb_tls_configure(pair->server_ctx, true), 0);
    SSL_CTX_set_max_proto_version(pair->ctx, version);
    SSL_CTX_set_mode(pair->ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    pair->client = SSL_new(pair->ctx);
    pair->server = SSL_new(pair->server_ctx);
    assert_int_equal(BIO_new_bio_pair(&ours, ROOM, &theirs, ROOM), 1);
    SSL_set_bio(pair->client, ours, ours);
    SSL_set_bio(pair->server, theirs, theirs);
    SSL_set_connect_state(pair->client);
    SSL_set_accept_state(pair->server);
    SSL_set_msg_callback(pair->server, on_message);
    SSL_set_msg_callback_arg(pair->server, pair);
    for (int turn = 0; turn < 4; turn++) {
        SSL_do_handshake(pair->client);
        SSL_do_handshake(pair->server);
    }
    assert_true(SSL_is_init_finished(pair->client));
    ERR_clear_error();
    hear(pair);
}

static void part(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_free(pair->server);
    SSL_CTX_free(pair->ctx);
    SSL_CTX_free(pair->server_ctx);
}

/* As senders do: errors of libssl's own would be taken for those of the write. */
static int say(struct pair *pair, size_t size)
{
    static const char bytes[FULL];
    int rc;

    ERR_clear_error();
    lb_tls_use_key(pair->client, &pair->records);
    rc = SSL_write(pair->client, bytes, (int)size);
    return rc > 0 ? rc : -SSL_get_error(pair->client, rc);
}

/* Ten bytes at a time. */
static void say_often(struct pair *pair, unsigned times)
{
    while (times-- > 0)
        assert_int_equal(say(pair, 10), 10);
}

static void new_keys_in_time(void **state)
{
    struct pair pair;

    (void)state;
    meet(&pair, TLS1_3_VERSION);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(say(&pair, 10), 10);
        hear(&pair);
    }
    assert_int_equal(pair.updates, 0);
    for (unsigned round = 1; round < 4; round++) {
        pair.records = USED_UP - 2;
        say_often(&pair, 2);
        hear(&pair);
        assert_int_equal(pair.updates, round - 1);
        say_often(&pair, 10);
        hear(&pair);
        assert_int_equal(pair.updates, round);
        assert_int_equal(pair.records, 10);
    }
    assert_int_equal(pair.heard, 10 * 10 + 3 * 12 * 10);
    part(&pair);
}

/* TLS 1.2 has no way to it. */
static void none_in_an_older_version(void **state)
{
    struct pair pair;

    (void)state;
    meet(&pair, TLS1_2_VERSION);
    pair.records = USED_UP - 2;
    say_often(&pair, 10);
    hear(&pair);
    assert_int_equal(pair.updates, 0);
    assert_int_equal(pair.heard, 100);
    part(&pair);
}

/* What has gone out in part goes on under the key that it was made with. */
static void not_within_a_record(void **state)
{
    struct pair pair;

    (void)state;
    meet(&pair, TLS1_3_VERSION);
    pair.records = USED_UP - 2;
    assert_int_equal(say(&pair, 10000), 10000);
    assert_int_equal(say(&pair, 10000), -SSL_ERROR_WANT_WRITE);
    assert_int_equal(say(&pair, 10000), -SSL_ERROR_WANT_WRITE);
    hear(&pair);
    assert_int_equal(say(&pair, 10000), 10000);
    hear(&pair);
    assert_int_equal(pair.updates, 0);
    assert_int_equal(say(&pair, 10000), 10000);
    hear(&pair);
    assert_int_equal(pair.updates, 1);
    assert_int_equal(pair.heard, 30000);
    part(&pair);
}

/* It waits for room, and goes out once. */
static void no_room_for_the_update(void **state)
{
    const size_t fills = ROOM - 22; /* with header, type and tag */
    struct pair pair;

    (void)state;
    meet(&pair, TLS1_3_VERSION);
    assert_int_equal(say(&pair, FULL), FULL);
    assert_int_equal(say(&pair, fills - FULL - 22), fills - FULL - 22);
    pair.records = USED_UP;
    for (int i = 0; i < 3; i++)
        assert_int_equal(say(&pair, 10), -SSL_ERROR_WANT_WRITE);
    hear(&pair);
    assert_int_equal(say(&pair, 10), 10);
    hear(&pair);
    assert_int_equal(pair.updates, 1);
    assert_int_equal(pair.heard, fills - 22 + 10);
    part(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_keys_in_time),
        cmocka_unit_test(none_in_an_older_version),
        cmocka_unit_test(not_within_a_record),
        cmocka_unit_test(no_room_for_the_update),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
