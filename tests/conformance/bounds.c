/* SPDX-License-Identifier: MIT */
/* No state without a bound: after the EOF too, while others hold it up, and beside those who send
 * more. Family 18 of the table of faults. */
#include "suite.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IDLE_MS = 300, MAX_TIME_MS = 900 };

static void held(unsigned cases)
{
    printf("fault 18 %s %s: %u cases\n", suite.backend, suite_is_tcp() ? "tcp" : "unix", cases);
}

/* Nobody is left, not before the time, and before the 30 s that would end it without a limit. */
static void await_gone(struct server *server, uint64_t begin_ns, unsigned ms)
{
    AWAIT(server, server_stats(server).active == 0);
    CHECK(server, time_now_ns() - begin_ns >= ms * UINT64_C(1000000));
    CHECK(server, time_now_ns() - begin_ns < UINT64_C(25) * 1000000000);
}

/* ---- after the EOF --------------------------------------------------------------------------- */

/* Says until the connection, and what is queued for it, is full. */
static ssize_t say_much(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                        size_t size)
{
    static const uint8_t zeros[65536];

    (void)entry;
    (void)data;
    while (lb_stream_say(stream, zeros, sizeof(zeros)) > 0)
        ;
    return (ssize_t)size;
}

/* One who has sent all, and doesn't read what it is told. */
static int connect_deaf(struct server *server, uint64_t tag)
{
    int fd = server_connect(server);

    CHECK_OK(server, peer_send_payload(fd, tag, 0, PAYLOAD_TAG_SIZE, PAYLOAD_TAG_SIZE));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    return fd;
}

/* Its stream was complete, and stays so. */
static void an_answer_and_a_receipt_unread(struct server *server, unsigned ms)
{
    uint64_t begin = time_now_ns();
    int fd;

    server->ledger.hooks.write = say_much;
    server->config.receipt = "xxh3";
    server_begin(server, 1);
    fd = connect_deaf(server, 1);
    server_await_ends(server, 1);
    await_gone(server, begin, ms);
    close(fd);
    server_check_payload(server, 1, PAYLOAD_TAG_SIZE, LB_END_EOF);
    server_finish(server);
    held(1);
}

static void unread_for_as_long_as_idle(void **state)
{
    struct server *server = *state;

    server->config.idle_timeout_ms = IDLE_MS;
    an_answer_and_a_receipt_unread(server, IDLE_MS);
}

static void unread_until_max_time(void **state)
{
    struct server *server = *state;

    server->config.max_time_ms = MAX_TIME_MS;
    an_answer_and_a_receipt_unread(server, MAX_TIME_MS);
}

/* ---- max_time, until the sink is done -------------------------------------------------------- */

static ssize_t take_nothing(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                            size_t size)
{
    int error;

    (void)data;
    if (lb_stream_bytes(stream) == 0)
        return PAYLOAD_TAG_SIZE < size ? PAYLOAD_TAG_SIZE : (ssize_t)size;
    error = ledger_watch_gate(entry, stream); /* stays closed */
    return error ? error : 0;
}

static void check_late(struct server *server, uint64_t tag, uint64_t size)
{
    server_check_payload(server, tag, size, LB_END_TIMEOUT);
    CHECK(server, strcmp(server_await_tag(server, tag)->why, "max-time") == 0);
}

static void max_time_of_a_paused_stream(void **state)
{
    struct server *server = *state;
    uint64_t begin = time_now_ns();
    int fd;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = take_nothing;
    server->config.max_time_ms = MAX_TIME_MS;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 1000, 1000));
    server_await_ends(server, 1);
    await_gone(server, begin, MAX_TIME_MS);
    close(fd);
    check_late(server, 1, PAYLOAD_TAG_SIZE);
    server_finish(server);
    held(1);
}

static void max_time_of_an_end_in_progress(void **state)
{
    struct server *server = *state;
    uint64_t begin = time_now_ns();
    int fd;

    server->ledger.hooks.end = ledger_end_never;
    server->config.max_time_ms = MAX_TIME_MS;
    server_begin(server, 1);
    fd = connect_deaf(server, 1);
    server_await_ends(server, 1);
    await_gone(server, begin, MAX_TIME_MS);
    close(fd);
    check_late(server, 1, PAYLOAD_TAG_SIZE);
    server_finish(server);
    held(1);
}

static int block_until_gate(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)stream;
    (void)end;
    atomic_store(&entry->mark, 1);
    if (entry->tag == 1)
        gate_wait(&entry->ledger->gate);
    return 0;
}

/* What has begun is not interrupted; what others held up meanwhile is not begun. */
static void max_time_behind_a_slow_end(void **state)
{
    struct server *server = *state;
    struct ledger_entry *first;
    uint64_t begin;
    int fds[2];

    server->sink.flags = LB_SINK_SLOW_END;
    server->ledger.hooks.end = block_until_gate;
    server->config.max_time_ms = MAX_TIME_MS;
    server_begin(server, 2);
    fds[0] = connect_deaf(server, 1);
    first = server_await_tag(server, 1);
    AWAIT(server, atomic_load(&first->mark) == 1);
    fds[1] = connect_deaf(server, 2);
    server_await_tag(server, 2);
    begin = time_now_ns();
    AWAIT(server, time_now_ns() - begin > MAX_TIME_MS * UINT64_C(1000000));
    CHECK_SAME(server, atomic_load(&server_await_tag(server, 2)->mark), 0);
    gate_open(&server->ledger.gate);
    server_await_ends(server, 2);
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    check_late(server, 2, PAYLOAD_TAG_SIZE);
    server_finish(server);
    held(1);
}

/* ---- min_rate -------------------------------------------------------------------------------- */

/* A rate for all of which each of the honest has less than the least rate, for want of more. */
enum { GREEDY = 3, TOTAL = 120000, LEAST = 100000 };

static void trickle_until_ended(struct server *server, const struct ledger_entry *entry)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    int fd = server_connect(server);

    while (atomic_load(&entry->phase) != LEDGER_ENDED) {
        CHECK(server, time_now_ns() < deadline);
        /* It fails once the other side has closed. */
        (void)peer_send(fd, "x", 1);
        time_nap();
    }
    close(fd);
}

/* Who sends little can't hide behind those who use up the total: they wait for us, it doesn't. */
static void a_trickle_beside_the_greedy(void **state)
{
    struct server *server = *state;
    struct sender *senders[GREEDY];
    const struct ledger_entry *slow;

    server->config.total_rate_limit = TOTAL;
    server->config.min_rate = LEAST;
    server->config.min_rate_window_ms = IDLE_MS;
    server->config.workers = suite_is_blocking() ? GREEDY + 1 : 2;
    server_begin(server, GREEDY + 1);
    for (uint64_t i = 0; i < GREEDY; i++)
        CHECK_OK(server, sender_start(&senders[i], server_connect(server), i + 1, UINT64_C(1) << 40,
                                      100000));
    AWAIT(server, atomic_load(&server->ledger.opened) == GREEDY);
    slow = server_entry(server, GREEDY); /* the next that comes */
    trickle_until_ended(server, slow);
    CHECK_SAME(server, slow->end, LB_END_LIMIT);
    CHECK(server, strcmp(slow->why, "min-rate") == 0);
    CHECK_SAME(server, atomic_load(&server->ledger.ended), 1);
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    for (uint64_t i = 0; i < GREEDY; i++)
        CHECK(server, sender_join(senders[i]) != 0);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_STOPPED], GREEDY);
    held(1);
}

const struct test_case bounds_cases[] = {
    {"bound_by_idle_of_what_is_unread", unread_for_as_long_as_idle, FAMILY_ANY, 0},
    {"bound_by_max_time_of_what_is_unread", unread_until_max_time, FAMILY_ANY, 0},
    {"bound_by_max_time_of_a_pause", max_time_of_a_paused_stream, FAMILY_ANY, 0},
    {"bound_by_max_time_of_an_end", max_time_of_an_end_in_progress, FAMILY_ANY, 0},
    {"bound_by_max_time_behind_an_end", max_time_behind_a_slow_end, FAMILY_ANY, 0},
    {"bound_by_min_rate_beside_a_total", a_trickle_beside_the_greedy, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
