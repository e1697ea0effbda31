/* SPDX-License-Identifier: MIT */
/* Sinks that decide the end of a stream themselves, what they ask about it, and what calls them. */
#include "suite.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TAKEN = 100, AFTER = 1 << 20 };

static const char answer[] = "thank you\n";

/* The peer hears this, and then our EOF: no reset comes over it. */
static void check_heard(struct server *server, int fd, const char *expected)
{
    char heard[200] = "";

    CHECK_OK(server, peer_receive(fd, heard, strlen(expected)));
    CHECK(server, strcmp(heard, expected) == 0);
    CHECK_OK(server, peer_await_eof(fd));
}

static void say(struct ledger_entry *entry, struct lb_stream *stream, const char *text)
{
    if (lb_stream_say(stream, text, strlen(text)) != (ssize_t)strlen(text))
        ledger_complain(entry->ledger, "%s was not said", text);
}

/* ---- finish ---------------------------------------------------------------------------------- */

static void finish(struct ledger_entry *entry, struct lb_stream *stream)
{
    say(entry, stream, answer);
    if (lb_stream_finish(stream) != 0)
        ledger_complain(entry->ledger, "the stream can't be finished");
}

/* Takes so many bytes of the stream, and no more. */
static ssize_t take_part(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                         size_t size)
{
    uint64_t left = TAKEN - lb_stream_bytes(stream);

    (void)data;
    if (size < left)
        return (ssize_t)size;
    finish(entry, stream);
    return (ssize_t)left;
}

/* The peer sends on, hears the answer, and closes. */
static void finish_early(struct server *server, size_t after)
{
    int fd;

    server->ledger.hooks.write = take_part;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, TAKEN, TAKEN));
    if (after > 0)
        CHECK_OK(server, peer_send_payload(fd, 1, TAKEN, TAKEN + after, 65536));
    check_heard(server, fd, answer);
    close(fd);
    server_await_ends(server, 1);
    server_check_payload(server, 1, TAKEN, LB_END_EOF);
    server_finish(server);
    CHECK_SAME(server, server->stats.partial, 0);
}

static void finished_while_the_peer_waits(void **state)
{
    finish_early(*state, 0);
}

static void finished_while_the_peer_sends(void **state)
{
    finish_early(*state, AFTER);
}

static void finished_by_a_sink_that_pauses(void **state)
{
    struct server *server = *state;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    finish_early(server, AFTER);
}

static int finish_at_once(struct ledger_entry *entry, struct lb_stream *stream)
{
    say(entry, stream, answer);
    return lb_stream_finish(stream);
}

static void finished_in_open(void **state)
{
    struct server *server = *state;
    int fd;

    server->ledger.hooks.open = finish_at_once;
    server_begin(server, 1);
    fd = server_connect(server);
    check_heard(server, fd, answer);
    close(fd);
    server_await_ends(server, 1);
    CHECK_SAME(server, server_entry(server, 0)->end, LB_END_EOF);
    server_finish(server);
}

enum { ROOM = 16 };

/* Has room for a part of what comes, and leaves the rest unread. */
static ssize_t finish_without_room(struct lb_stream *stream, void *context, void **data)
{
    static char room[ROOM];

    (void)context;
    *data = room;
    if (lb_stream_bytes(stream) < ROOM)
        return ROOM - (ssize_t)lb_stream_bytes(stream);
    lb_stream_say(stream, answer, strlen(answer));
    lb_stream_finish(stream);
    return 0;
}

/* Behind filters nothing is placed. */
static ssize_t take_room(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                         size_t size)
{
    uint64_t left = ROOM - lb_stream_bytes(stream);

    (void)data;
    if (size <= left)
        return (ssize_t)size;
    finish(entry, stream);
    return (ssize_t)left;
}

static void finished_in_place(void **state)
{
    struct server *server = *state;
    int fd;

    server->sink.place = finish_without_room;
    server->ledger.hooks.write = take_room;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 4096, 4096));
    check_heard(server, fd, answer);
    close(fd);
    server_await_ends(server, 1);
    CHECK_SAME(server, server_entry(server, 0)->end, LB_END_EOF);
    server_finish(server);
}

/* Takes nothing more, and waits for somebody to wake it. */
static ssize_t pause_for_a_wake(struct ledger_entry *entry, struct lb_stream *stream,
                                const void *data, size_t size)
{
    (void)stream;
    (void)data;
    (void)size;
    atomic_store(&entry->mark, lb_stream_id(stream));
    return 0;
}

/* While it is paused, and while it receives. */
static void finished_when_woken(void **state)
{
    struct server *server = *state;
    struct ledger_entry *entry;
    int fd;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = pause_for_a_wake;
    server->ledger.hooks.ready = finish_at_once;
    server_begin(server, 2);
    fd = server_connect(server);
    AWAIT(server, atomic_load(&server->ledger.opened) == 1);
    CHECK_OK(server, lb_engine_wake(server->engine, 1));
    check_heard(server, fd, answer);
    close(fd);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "x", 1));
    entry = server_entry(server, 1);
    AWAIT(server, atomic_load(&entry->mark) == 2);
    CHECK_OK(server, lb_engine_wake(server->engine, 2));
    check_heard(server, fd, answer);
    close(fd);
    server_await_ends(server, 2);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_EOF], 2);
    CHECK_SAME(server, server->stats.bytes, 0);
}

/* ---- refuse ---------------------------------------------------------------------------------- */

static const char refusal[] = "no room for you\n";

static int refuse_in_open(struct ledger_entry *entry, struct lb_stream *stream)
{
    (void)entry;
    return lb_stream_refuse(stream, refusal);
}

static ssize_t refuse_in_write(struct ledger_entry *entry, struct lb_stream *stream,
                               const void *data, size_t size)
{
    (void)entry;
    (void)data;
    (void)size;
    return lb_stream_refuse(stream, refusal);
}

/* What a write that goes on takes is still the stream's. */
static ssize_t refuse_and_take(struct ledger_entry *entry, struct lb_stream *stream,
                               const void *data, size_t size)
{
    (void)data;
    if (lb_stream_refuse(stream, refusal) != -ECONNREFUSED)
        ledger_complain(entry->ledger, "the stream can't be refused");
    if (lb_stream_finish(stream) != -EBUSY)
        ledger_complain(entry->ledger, "a refused stream was finished");
    return (ssize_t)size;
}

static int refuse_in_end(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)entry;
    return end == LB_END_EOF ? lb_stream_refuse(stream, refusal) : 0;
}

/* The peer sends for as long as it likes, and hears why it was in vain. */
static void check_refused(struct server *server, size_t size, bool closes)
{
    int fd;

    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, size, 65536));
    if (closes)
        CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    check_heard(server, fd, refusal);
    close(fd);
    server_await_ends(server, 1);
    server_finish(server);
    CHECK_SAME(server, server->stats.ends[LB_END_SINK], 1);
    CHECK(server, strstr(server->warnings, "refused by the sink ledger: no room for you\n"));
}

static void refused_in_open(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.open = refuse_in_open;
    check_refused(server, AFTER, false);
}

static void refused_in_write(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.write = refuse_in_write;
    check_refused(server, AFTER, false);
    CHECK_SAME(server, server->stats.bytes, 0);
}

static void refused_with_what_it_took(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.write = refuse_and_take;
    check_refused(server, PAYLOAD_TAG_SIZE, false);
}

static void refused_in_end(void **state)
{
    struct server *server = *state;

    server->ledger.hooks.end = refuse_in_end;
    check_refused(server, AFTER, true);
}

/* ---- what a sink asks ------------------------------------------------------------------------ */

static int ask(struct ledger_entry *entry, struct lb_stream *stream)
{
    struct sockaddr_storage address, expected = {0};
    socklen_t size = sizeof(expected);
    struct ledger *ledger = entry->ledger;

    getpeername(lb_stream_fd(stream), (struct sockaddr *)&expected, &size);
    if (lb_stream_address(stream, &address) < (int)sizeof(sa_family_t) ||
        address.ss_family != expected.ss_family ||
        (suite_is_tcp() && memcmp(&address, &expected, size) != 0))
        ledger_complain(ledger, "lb_stream_address is not what the kernel says");
    if (lb_stream_worker(stream))
        ledger_complain(ledger, "lb_stream_worker without a worker_open");
    atomic_store(&entry->mark, (uint64_t)lb_stream_listener(stream) + 1);
    return 0;
}

static int note_error(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    (void)end;
    atomic_store(&entry->mark, (uint64_t)-lb_stream_error(stream));
    return 0;
}

static void whose_it_is(void **state)
{
    struct server *server = *state;
    char second[300];

    server->ledger.hooks.open = ask;
    snprintf(second, sizeof(second), "%s%s", server->path, suite_is_tcp() ? "" : "-2");
    server->listen[1] = second;
    server_begin(server, 2);
    for (size_t i = 0; i < 2; i++) {
        int fd = peer_connect(lb_engine_address(server->engine, i));

        CHECK(server, fd >= 0);
        CHECK_OK(server, peer_finish(fd, NULL, 0));
        server_await_ends(server, i + 1);
        CHECK_SAME(server, atomic_load(&server_entry(server, i)->mark), i + 1);
    }
    server_finish(server);
}

static void the_error_behind_an_end(void **state)
{
    struct server *server = *state;
    int fd;

    server->ledger.hooks.end = note_error;
    server_begin(server, 1);
    fd = server_connect(server);
    AWAIT(server, atomic_load(&server->ledger.opened) == 1);
    CHECK_OK(server, peer_reset(fd));
    server_await_ends(server, 1);
    CHECK_SAME(server, server_entry(server, 0)->end, LB_END_RESET);
    CHECK_SAME(server, atomic_load(&server_entry(server, 0)->mark), ECONNRESET);
    server_finish(server);
}

/* ---- who calls it ---------------------------------------------------------------------------- */

/* Nothing that the engine knows of will call this sink: that is said. A wake brings it on. */
static void a_sink_that_nobody_calls(void **state)
{
    struct server *server = *state;
    struct ledger_entry *entry;
    int fd;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = pause_for_a_wake;
    server->ledger.hooks.ready = finish_at_once;
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send(fd, "x", 1));
    entry = server_entry(server, 0);
    AWAIT(server, atomic_load(&entry->mark) == 1);
    AWAIT(server, atomic_load(&server->warned) == 1);
    CHECK_OK(server, lb_engine_wake(server->engine, 1));
    check_heard(server, fd, answer);
    close(fd);
    server_await_ends(server, 1);
    server_finish(server);
    CHECK(server, strstr(server->warnings, "unless lb_engine_wake is called") != NULL);
}

/* ---- what a worker's streams share ----------------------------------------------------------- */

static struct {
    atomic_uint opened, closed, used;
    atomic_int result;
} workers;

static int open_worker(void *context, unsigned worker, void **state)
{
    (void)context;
    if (atomic_load(&workers.result) < 0 && worker == 0)
        return atomic_load(&workers.result);
    atomic_fetch_add(&workers.opened, 1);
    *state = malloc(sizeof(pthread_t));
    *(pthread_t *)*state = pthread_self();
    return *state ? 0 : -ENOMEM;
}

static void close_worker(void *context, void *state)
{
    struct ledger *ledger = context;

    if (!pthread_equal(*(pthread_t *)state, pthread_self()))
        ledger_complain(ledger, "worker_close is on another thread than worker_open");
    free(state);
    atomic_fetch_add(&workers.closed, 1);
}

static int use_worker(struct ledger_entry *entry, struct lb_stream *stream)
{
    const pthread_t *own = lb_stream_worker(stream);

    if (!own || !pthread_equal(*own, pthread_self()))
        ledger_complain(entry->ledger, "lb_stream_worker is another worker's");
    atomic_fetch_add(&workers.used, 1);
    return 0;
}

static void share_workers(struct server *server, int result)
{
    atomic_store(&workers.opened, 0);
    atomic_store(&workers.closed, 0);
    atomic_store(&workers.used, 0);
    atomic_store(&workers.result, result);
    server->sink.worker_open = open_worker;
    server->sink.worker_close = close_worker;
    server->ledger.hooks.open = use_worker;
    server->config.workers = 3;
}

static void each_worker_has_its_own(void **state)
{
    struct server *server = *state;
    const size_t streams = scale_count(12, 6);

    share_workers(server, 0);
    server_begin(server, streams);
    CHECK_SAME(server, atomic_load(&workers.opened), 3);
    for (size_t i = 0; i < streams; i++)
        CHECK_OK(server, peer_finish(server_connect(server), "x", 1));
    server_finish(server);
    CHECK_SAME(server, atomic_load(&workers.used), streams);
    CHECK_SAME(server, atomic_load(&workers.closed), 3);
}

static void a_worker_that_cannot_begin(void **state)
{
    struct server *server = *state;

    share_workers(server, -ENETUNREACH);
    server_open(server, 1);
    CHECK_SAME(server, -lb_engine_start(server->engine), ENETUNREACH);
    server_finish(server);
    CHECK_SAME(server, atomic_load(&workers.closed), atomic_load(&workers.opened));
}

/* ---- whose thread it is ---------------------------------------------------------------------- */

static _Thread_local volatile sig_atomic_t caught;

static void note_signal(int number)
{
    (void)number;
    caught = 1;
}

/* What a fault in a sink raises reaches the program's handler, on the thread that it is of. */
static bool is_caught(int number)
{
    struct sigaction before, own = {.sa_handler = note_signal};
    bool here;

    sigaction(number, &own, &before);
    caught = 0;
    raise(number);
    here = caught;
    sigaction(number, &before, NULL);
    return here;
}

static int look_at_thread(struct ledger_entry *entry, struct lb_stream *stream)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    char name[16] = "";
    sigset_t blocked;

    (void)stream;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    prctl(PR_GET_NAME, name);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (sigismember(&blocked, own[i]) || !is_caught(own[i]))
            ledger_complain(entry->ledger, "a worker blocks signal %d, which it raises", own[i]);
    if (!suite.own_loop && !sigismember(&blocked, SIGTERM))
        ledger_complain(entry->ledger, "a worker takes the program's SIGTERM");
    if (!suite.own_loop && strcmp(name, "lb-worker/0") != 0)
        ledger_complain(entry->ledger, "a worker is called %s", name);
    return 0;
}

static void a_worker_among_threads(void **state)
{
    struct server *server = *state;

    server->config.workers = 1;
    server->ledger.hooks.open = look_at_thread;
    server_begin(server, 1);
    CHECK_OK(server, peer_finish(server_connect(server), "x", 1));
    server_finish(server);
}

static ssize_t count_bytes(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)data;
    atomic_fetch_add((atomic_size_t *)context, size);
    return (ssize_t)size;
}

/* Two engines at once, each with a sink of its own; one is another's stream's business. */
static void another_engine_beside_it(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "count", .write = count_bytes};
    struct server *server = *state;
    atomic_size_t bytes = 0;
    struct lb_config config = server->config;
    struct lb_engine *other = NULL;
    int ends[2];

    config.sink = &sink;
    config.sink_context = &bytes;
    config.listen = (const char *const[]){"127.0.0.1:0", NULL};
    CHECK_OK(server, lb_engine_open(&other, &config, NULL));
    CHECK_OK(server, lb_engine_start(other));
    server_begin(server, 1);
    CHECK_SAME(server, socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_OK(server, lb_engine_adopt(other, ends[0], "12345", 5, NULL));
    CHECK_OK(server, peer_finish(server_connect(server), "to the one", 10));
    CHECK_OK(server, peer_finish(ends[1], "678", 3));
    server_await_ends(server, 1);
    server_check_bytes(server, 0, "to the one", 10, LB_END_EOF);
    CHECK_SAME(server, atomic_load(&bytes), 8);
    CHECK_OK(server, lb_engine_close(other));
    server_finish(server);
}

const struct test_case decided_cases[] = {
    {"finished_while_the_peer_waits", finished_while_the_peer_waits, FAMILY_ANY, 0},
    {"finished_while_the_peer_sends", finished_while_the_peer_sends, FAMILY_ANY, 0},
    {"finished_by_a_sink_that_pauses", finished_by_a_sink_that_pauses, FAMILY_ANY, 0},
    {"finished_in_open", finished_in_open, FAMILY_ANY, 0},
    {"finished_in_place", finished_in_place, FAMILY_ANY, 0},
    {"finished_when_woken", finished_when_woken, FAMILY_ANY, 0},
    {"refused_in_open", refused_in_open, FAMILY_ANY, 0},
    {"refused_in_write", refused_in_write, FAMILY_ANY, 0},
    {"refused_with_what_it_took", refused_with_what_it_took, FAMILY_ANY, 0},
    {"refused_in_end", refused_in_end, FAMILY_ANY, 0},
    {"whose_it_is", whose_it_is, FAMILY_ANY, 0},
    {"the_error_behind_an_end", the_error_behind_an_end, FAMILY_TCP, 0},
    {"a_sink_that_nobody_calls", a_sink_that_nobody_calls, FAMILY_ANY, 0},
    {"each_worker_has_its_own", each_worker_has_its_own, FAMILY_ANY, 0},
    {"a_worker_that_cannot_begin", a_worker_that_cannot_begin, FAMILY_ANY, 0},
    {"a_worker_among_threads", a_worker_among_threads, FAMILY_ANY, 0},
    {"another_engine_beside_it", another_engine_beside_it, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
