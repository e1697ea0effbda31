/* SPDX-License-Identifier: MIT */
/* Many streams: at once, in a row, and unequal ones side by side. */
#include "suite.h"

#include <sys/socket.h>
#include <unistd.h>

/* ---- a thousand at once --------------------------------------------------------------------- */

enum { THOUSAND = 1000 };

/* All of them are being received; or, where a worker has one at a time, every worker has one. */
static bool all_under_way(struct server *server)
{
    const struct lb_stats stats = server_stats(server);
    const uint64_t most =
        suite_is_blocking() && stats.workers < THOUSAND ? stats.workers : THOUSAND;

    return atomic_load(&server->ledger.under_way) == most && stats.active == most;
}

static void thousand_streams(void **state)
{
    struct server *server = *state;
    const struct many_peers many = {.server = server,
                                    .first_tag = 1,
                                    .peers = THOUSAND,
                                    .at_once = THOUSAND,
                                    .size_min = 8,
                                    .size_max = scale_count(40000, 10000),
                                    .gate = all_under_way};

    server_begin(server, many.peers);
    many_peers_run(&many);
    many_peers_check(&many);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], THOUSAND);
}

/* ---- a flood and trickles ------------------------------------------------------------------- */

enum { FLOOD_TAG = 1, TRICKLES = 63, LAG_MAX = 16 << 20 };

/* A byte of a trickle has come: how much of the flood had come by then? */
static ssize_t mark_lag(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                        size_t size)
{
    const struct ledger_entry *flood = ledger_find(entry->ledger, FLOOD_TAG);

    (void)stream;
    (void)data;
    if (entry->tag != FLOOD_TAG && flood)
        atomic_store(&entry->mark, atomic_load(&flood->bytes));
    return (ssize_t)size;
}

struct flood {
    pthread_t thread;
    int fd;
    atomic_bool enough;
    uint64_t sent;
    int result;
};

static void *flood_run(void *argument)
{
    static uint8_t buffer[256 << 10];
    struct flood *flood = argument;

    payload_fill(FLOOD_TAG, 0, buffer, sizeof(buffer));
    do {
        flood->result = peer_send(flood->fd, buffer, sizeof(buffer));
        flood->sent += sizeof(buffer);
    } while (flood->result == 0 && !atomic_load(&flood->enough));
    if (flood->result == 0)
        flood->result = peer_finish(flood->fd, NULL, 0);
    return NULL;
}

/* Each trickle sends one byte, and all wait until every byte has come. Returns for how many of them
 * the flood was given far more than a turn meanwhile. */
static unsigned trickle_round(struct server *server, const int *fds, uint64_t round)
{
    const struct ledger_entry *flood = ledger_find(&server->ledger, FLOOD_TAG);
    uint64_t before[TRICKLES];
    unsigned late = 0;

    for (uint64_t i = 0; i < TRICKLES; i++) {
        const uint64_t at = PAYLOAD_TAG_SIZE + round;

        before[i] = atomic_load(&flood->bytes);
        CHECK_OK(server, peer_send_payload(fds[i], FLOOD_TAG + 1 + i, at, at + 1, 1));
    }
    for (uint64_t i = 0; i < TRICKLES; i++) {
        struct ledger_entry *entry = ledger_find(&server->ledger, FLOOD_TAG + 1 + i);

        AWAIT(server, atomic_load(&entry->bytes) == PAYLOAD_TAG_SIZE + round + 1);
        late += atomic_load(&entry->mark) > before[i] + LAG_MAX;
    }
    return late;
}

/* One worker, so that the flood's bytes are a clock which stands still when the machine is busy
 * with something else. Where every stream has a thread of its own, the kernel does the sharing, and
 * only progress is asked for. */
static void flood_and_trickles(void **state)
{
    static struct flood flood; /* outlives a case that fails */
    const uint64_t rounds = scale_count(50, 10);
    struct server *server = *state;
    int fds[TRICKLES];
    unsigned late = 0;

    server->config.workers = suite_is_blocking() ? TRICKLES + 1 : 1;
    server->ledger.plain = true;
    server->ledger.hooks.write = mark_lag;
    server_begin(server, TRICKLES + 1);
    flood.fd = server_connect(server);
    CHECK_SAME(server, pthread_create(&flood.thread, NULL, flood_run, &flood), 0);
    server_await_tag(server, FLOOD_TAG);
    for (uint64_t i = 0; i < TRICKLES; i++) {
        fds[i] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[i], FLOOD_TAG + 1 + i, 0, PAYLOAD_TAG_SIZE, 8));
    }
    for (uint64_t i = 0; i < TRICKLES; i++)
        server_await_tag(server, FLOOD_TAG + 1 + i);
    for (uint64_t round = 0; round < rounds; round++)
        late += trickle_round(server, fds, round);
    atomic_store(&flood.enough, true);
    pthread_join(flood.thread, NULL);
    CHECK_OK(server, flood.result);
    for (uint64_t i = 0; i < TRICKLES; i++)
        CHECK_OK(server, peer_finish(fds[i], NULL, 0));
    CHECK_SAME(server, atomic_load(&server_await_tag(server, FLOOD_TAG)->bytes), flood.sent);
    /* This thread may lose its core between looking at the flood and sending its byte. */
    if (!suite_is_blocking())
        CHECK(server, late <= rounds * TRICKLES / 20);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], TRICKLES + 1);
}

/* ---- many in a row -------------------------------------------------------------------------- */

static void short_streams(void **state)
{
    struct server *server = *state;
    const struct many_peers many = {.server = server,
                                    .first_tag = 1,
                                    .peers = scale_count(20000, 2000),
                                    .at_once = 32,
                                    .size_min = 8,
                                    .size_max = 300,
                                    .abrupt = true};
    unsigned fds;

    /* So few slots that one which got lost would be missed soon. */
    server->config.slots = 4;
    server->config.slot_size = 4096;
    server_begin(server, many.peers + 1);
    /* A first stream, so that what is made once has been made. */
    CHECK_OK(server, peer_finish(server_connect(server), NULL, 0));
    AWAIT(server, server_stats(server).streams == 1);
    fds = process_count_fds();
    many_peers_run(&many);
    AWAIT(server, server_stats(server).streams == many.peers + 1);
    AWAIT(server, process_count_fds() <= fds);
    many_peers_check(&many);
    server_finish(server);
}

/* ---- send, then shut down at once ----------------------------------------------------------- */

/* Every other stream is idle, its receive armed, when its last byte and its EOF come together. */
static void send_then_shutdown(void **state)
{
    const uint64_t repetitions = scale_count(5000, 500);
    struct server *server = *state;

    server_begin(server, repetitions);
    for (uint64_t tag = 1; tag <= repetitions; tag++) {
        const uint64_t first = tag % 2 ? PAYLOAD_TAG_SIZE : 0, size = first + 1 + tag % 1000;
        int fd = server_connect(server);

        if (first > 0) {
            CHECK_OK(server, peer_send_payload(fd, tag, 0, first, first));
            server_await_tag(server, tag);
        }
        CHECK_OK(server, peer_send_payload(fd, tag, first, size, size));
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        if (size >= PAYLOAD_TAG_SIZE)
            server_check_payload(server, tag, size, LB_END_EOF);
    }
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], repetitions);
}

/* The same, from several sides at once and with the EOF racing the accept. */
static void send_then_close(void **state)
{
    struct server *server = *state;
    const uint64_t repetitions = scale_count(5000, 500);

    server_begin(server, repetitions);
    for (uint64_t tag = 1; tag <= repetitions; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, tag, 0, 8 + tag % 5000, 5008));
        close(fd);
        if (tag % 16 == 0)
            server_await_ends(server, tag);
    }
    server_await_ends(server, repetitions);
    for (uint64_t tag = 1; tag <= repetitions; tag++)
        server_check_payload(server, tag, 8 + tag % 5000, LB_END_EOF);
    server_finish(server);
}

/* ---- workers -------------------------------------------------------------------------------- */

static void several_workers(void **state)
{
    enum { WORKERS = 4 };
    struct server *server = *state;
    const struct many_peers many = {.server = server,
                                    .first_tag = 1,
                                    .peers = scale_count(300, 60),
                                    .at_once = 60,
                                    .size_min = 8,
                                    .size_max = 200000,
                                    .abrupt = true};

    server->config.workers = WORKERS;
    server_begin(server, many.peers);
    many_peers_run(&many);
    server_await_ends(server, many.peers);
    many_peers_check(&many);
    CHECK_SAME(server, server_stats(server).workers, WORKERS);
    server_finish(server);
}

const struct test_case load_cases[] = {
    {"thousand_streams", thousand_streams, FAMILY_ANY, 0},
    {"flood_and_trickles", flood_and_trickles, FAMILY_ANY, 0},
    {"short_streams", short_streams, FAMILY_ANY, 120},
    {"send_then_shutdown", send_then_shutdown, FAMILY_ANY, 0},
    {"send_then_close", send_then_close, FAMILY_ANY, 0},
    {"several_workers", several_workers, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
