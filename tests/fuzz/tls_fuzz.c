/* SPDX-License-Identifier: MIT */
/* At a port that speaks TLS, of an engine of its own. The first byte says who comes. 0: a stranger,
 * who says the rest, and never comes to be a stream. Else a client, whose bytes are sent, cut,
 * damaged and split as the rest says: the sink gets a part of what it has said from its begin, and
 * eof comes of nothing but the whole. */
#include "fuzz.h"

#include "dice.h"
#include "support.h"
#include "tls_rig.h"

#include <lastbyte/lastbyte.h>

#include <openssl/err.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TAG = 7, PLAIN_MAX = 40000, CIPHER_MAX = 64 << 10 };

static struct lb_engine *engine;
static SSL_CTX *ctx;
static _Atomic uint64_t taken; /* of the stream under way */

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    uint8_t *expected = malloc(size);

    (void)context;
    payload_fill(TAG, lb_stream_bytes(stream), expected, size);
    if (memcmp(data, expected, size) != 0)
        fuzz_fail("other bytes than were said, behind %llu",
                  (unsigned long long)lb_stream_bytes(stream));
    free(expected);
    atomic_fetch_add(&taken, size);
    return (ssize_t)size;
}

static void open_engine(void)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "fuzz", .write = take};
    static char file[300], address[64];
    static const char *listen[] = {address, NULL};
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_config config;

    signal(SIGPIPE, SIG_IGN);
    snprintf(file, sizeof(file), "%s/lastbyte-fuzz-%d.pem",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    snprintf(address, sizeof(address), "unix:@lastbyte-fuzz-%d", (int)getpid());
    if (tls_rig_identity(file) < 0)
        fuzz_fail("no key");
    lb_config_init(&config);
    config.listen = listen;
    config.backend = "epoll";
    config.workers = 1;
    config.sink = &sink;
    config.tls = true;
    config.tls_cert = config.tls_key = file;
    if (lb_engine_open(&engine, &config, &error) < 0 || lb_engine_start(engine) < 0)
        fuzz_fail("no engine: %s", error.text);
    unlink(file);
    ctx = tls_rig_context();
}

static struct lb_stats look(void)
{
    struct lb_stats stats = {LB_STATS_INIT};

    lb_engine_stats(engine, &stats);
    return stats;
}

/* Returns our end of a connection that the engine has the other one of. */
static int connect_engine(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        lb_engine_adopt(engine, pair[0], NULL, 0, NULL) < 0)
        fuzz_fail("no connection");
    return pair[1];
}

/* Ends what we say, hears the rest, and waits until it is counted. Returns the stats. */
static struct lb_stats part(int fd, const struct lb_stats *before)
{
    struct lb_stats now;

    shutdown(fd, SHUT_WR);
    (void)peer_await_eof(fd);
    close(fd);
    do {
        now = look();
        time_nap();
    } while (now.streams + now.failed_preludes == before->streams + before->failed_preludes);
    return now;
}

static void be_a_stranger(const uint8_t *data, size_t size)
{
    struct lb_stats before = look(), now;
    int fd = connect_engine();

    (void)peer_send(fd, data, size);
    now = part(fd, &before);
    if (now.streams != before.streams)
        fuzz_fail("a stranger has come to be a stream");
}

/* What the client has to say, all of it. Returns how many bytes of cipher were used. */
static size_t compose(SSL *peer, struct dice *dice, uint8_t *cipher, size_t *plain, bool *ends)
{
    static uint8_t bytes[PLAIN_MAX];
    unsigned records = dice_below(dice, 6);

    *plain = 0;
    payload_fill(TAG, 0, bytes, sizeof(bytes));
    while (records-- > 0) {
        size_t size = 1 + dice_below(dice, PLAIN_MAX / 6);

        if (dice_below(dice, 4) == 0)
            SSL_key_update(peer, (int)dice_below(dice, 2));
        SSL_write(peer, bytes + *plain, (int)size);
        *plain += size;
    }
    *ends = dice_below(dice, 3) > 0;
    if (*ends)
        SSL_shutdown(peer);
    return tls_rig_take(peer, cipher, CIPHER_MAX);
}

static void send_in_pieces(int fd, const uint8_t *cipher, size_t size, struct dice *dice)
{
    for (size_t at = 0, piece; at < size; at += piece) {
        piece = 1 + dice_below(dice, 20000);
        piece = piece < size - at ? piece : size - at;
        if (peer_send(fd, cipher + at, piece) < 0)
            return;
    }
}

static void be_a_client(struct dice *dice)
{
    static uint8_t cipher[CIPHER_MAX];
    struct lb_stats before = look(), now;
    SSL *peer = tls_rig_peer(ctx);
    int fd = connect_engine();
    size_t plain, size, cut;
    bool ends, damaged;

    atomic_store(&taken, 0);
    if (tls_rig_shake(peer, fd) < 0)
        fuzz_fail("no handshake");
    size = compose(peer, dice, cipher, &plain, &ends);
    cut = dice_below(dice, 2) && size > 0 ? dice_below(dice, (unsigned)size) : size;
    damaged = cut > 0 && dice_below(dice, 2);
    if (damaged)
        cipher[dice_below(dice, (unsigned)cut)] ^= (uint8_t)(1 + dice_below(dice, 255));
    send_in_pieces(fd, cipher, cut, dice);
    now = part(fd, &before);
    if (now.ends[LB_END_EOF] > before.ends[LB_END_EOF] &&
        (!ends || damaged || cut < size || atomic_load(&taken) != plain))
        fuzz_fail("eof after %zu of %zu bytes, %llu were taken", cut, size,
                  (unsigned long long)atomic_load(&taken));
    if (now.ends[LB_END_EOF] == before.ends[LB_END_EOF] && ends && !damaged && cut == size)
        fuzz_fail("no eof of the whole");
    SSL_free(peer);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dice dice = dice_of_tape(data + (size > 0), size - (size > 0));

    if (!engine)
        open_engine();
    if (size == 0 || data[0] == 0)
        be_a_stranger(data + (size > 0), size - (size > 0));
    else
        be_a_client(&dice);
    return 0;
}
