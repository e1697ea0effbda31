/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(void *context, enum lb_note_level level, const char *text)
{
    struct server *server = context;
    size_t length = strlen(server->warnings);

    if (level == LB_NOTE_WARNING)
        snprintf(server->warnings + length, sizeof(server->warnings) - length, "%s\n", text);
    atomic_fetch_add(&server->warned, level == LB_NOTE_WARNING);
    if (getenv("LASTBYTE_TEST_VERBOSE"))
        fprintf(stderr, "# %s: %s%s\n", server->name, level == LB_NOTE_WARNING ? "warning: " : "",
                text);
}

const char *server_listen_address(void)
{
    static char path[256];

    switch (suite.family) {
    case FAMILY_TCP4:
        return "127.0.0.1:0";
    case FAMILY_TCP6:
        return "[::1]:0";
    case FAMILY_UNIX:
        break;
    }
    snprintf(path, sizeof(path), "unix:%s/socket", suite.directory);
    return path;
}

bool suite_is_blocking(void)
{
    return strcmp(suite.backend, "blocking") == 0;
}

int server_init(struct server *server, const char *name)
{
    server->name = name;
    lb_config_init(&server->config);
    suite_configure(&server->config);
    snprintf(server->path, sizeof(server->path), "%s", server_listen_address());
    server->listen[0] = server->path;
    server->config.listen = server->listen;
    server->config.backend = suite.backend;
    if (suite.no_gathering)
        server->config.gather_max_us = LB_NO_GATHER;
    server->config.note = note;
    server->config.note_level = LB_NOTE_DETAIL;
    server->config.note_context = server;
    server->sink = ledger_sink;
    return ledger_init(&server->ledger);
}

int server_setup(void **state)
{
    const struct test_case *test_case = *state;
    struct server *server = calloc(1, sizeof(*server));

    if (!server)
        return -1;
    *state = server;
    suite_reset();
    if (server_init(server, test_case->name))
        return -1;
    server->fds = process_count_fds();
    server->threads = process_count_threads();
    watchdog_watch(server, test_case->seconds);
    return 0;
}

static void join_loop(struct server *server)
{
    if (server->looping)
        pthread_join(server->loop, NULL);
    server->looping = false;
}

void server_close(struct server *server)
{
    CHECK_OK(server, lb_engine_close(server->engine));
    join_loop(server);
    server->engine = NULL;
}

int server_teardown(void **state)
{
    struct server *server = *state;

    /* Only a case that failed still has an engine; its hooks may hang on the gate. */
    if (server->engine) {
        gate_open(&server->ledger.gate);
        lb_engine_close(server->engine);
    }
    join_loop(server);
    suite_leave();
    watchdog_rest();
    ledger_done(&server->ledger);
    free(server);
    return 0;
}

void server_open(struct server *server, size_t room)
{
    struct lb_error error = {LB_ERROR_INIT};

    CHECK_OK(server, ledger_reserve(&server->ledger, room));
    server->ledger.slow_end = server->sink.flags & LB_SINK_SLOW_END;
    if (!server->config.sink) {
        server->config.sink = &server->sink;
        server->config.sink_context = &server->ledger;
    }
    if (suite.own_loop && server->config.workers <= 1)
        server->config.workers = LB_NO_THREADS;
    if (lb_engine_open(&server->engine, &server->config, &error) != 0)
        server_give_up(server, __FILE__, __LINE__, "lb_engine_open: %s", error.text);
    CHECK(server, strcmp(lb_engine_backend(server->engine), suite.backend) == 0);
    server->address = lb_engine_address(server->engine, 0);
    CHECK(server, server->address != NULL);
    server->address = suite_front(server->address);
}

/* As a program's own loop would run it among other things. */
static void *run_loop(void *argument)
{
    struct server *server = argument;
    struct lb_engine *engine = server->engine;
    struct pollfd ready = {.fd = lb_engine_fd(engine), .events = POLLIN};

    server->started = lb_engine_start(engine);
    sem_post(&server->begun);
    if (server->started < 0)
        return NULL;
    do {
        poll(&ready, 1, -1);
    } while (lb_engine_turn(engine, 0) == 1);
    return NULL;
}

void server_start(struct server *server)
{
    if (server->config.workers != LB_NO_THREADS) {
        CHECK_OK(server, lb_engine_start(server->engine));
        return;
    }
    join_loop(server); /* of an engine before this one */
    sem_init(&server->begun, 0, 0);
    CHECK_SAME(server, pthread_create(&server->loop, NULL, run_loop, server), 0);
    server->looping = true;
    while (sem_wait(&server->begun) < 0)
        ;
    CHECK_OK(server, server->started);
}

void server_begin(struct server *server, size_t room)
{
    server_open(server, room);
    server_start(server);
}

int server_connect(struct server *server)
{
    int fd = peer_connect(server->address);

    if (fd < 0)
        server_give_up(server, __FILE__, __LINE__, "connect: %s", strerror(-fd));
    return fd;
}

struct lb_stats server_stats(struct server *server)
{
    struct lb_stats stats = {LB_STATS_INIT};

    lb_engine_stats(server->engine, &stats);
    return stats;
}

void server_await_ends(struct server *server, size_t count)
{
    AWAIT(server, atomic_load(&server->ledger.ended) >= count);
}

struct ledger_entry *server_await_tag(struct server *server, uint64_t tag)
{
    AWAIT(server, ledger_find(&server->ledger, tag) != NULL);
    return ledger_find(&server->ledger, tag);
}

struct ledger_entry *server_entry(struct server *server, size_t index)
{
    CHECK(server, index < server->ledger.room);
    return &server->ledger.entries[index];
}

void server_check_payload(struct server *server, uint64_t tag, uint64_t size, enum lb_end end)
{
    const struct ledger_entry *entry = server_await_tag(server, tag);

    CHECK_SAME(server, atomic_load(&entry->phase), LEDGER_ENDED);
    CHECK_SAME(server, atomic_load(&entry->bytes), size);
    CHECK_SAME(server, entry->end, end);
    if (!XXH128_isEqual(entry->digest, payload_digest(tag, size)))
        server_give_up(server, __FILE__, __LINE__,
                       "stream %" PRIu64 ": not the bytes that were sent", tag);
}

void server_check_bytes(struct server *server, size_t index, const void *data, size_t size,
                        enum lb_end end)
{
    const struct ledger_entry *entry = server_entry(server, index);

    CHECK_SAME(server, atomic_load(&entry->phase), LEDGER_ENDED);
    CHECK_SAME(server, atomic_load(&entry->bytes), size);
    CHECK_SAME(server, entry->end, end);
    if (!XXH128_isEqual(entry->digest, XXH3_128bits(data, size)))
        server_give_up(server, __FILE__, __LINE__, "stream at %zu: not the bytes that were sent",
                       index);
}

/* Those who were turned away, with the end that they got. */
static void add_refused(void *context, const struct lb_outcome *outcome)
{
    uint64_t *ends = context;

    ends[outcome->end] += outcome->stream && outcome->refused ? outcome->count : 0;
}

/* What the engine counted is what the sink saw. */
static void check_stats(struct server *server)
{
    const struct lb_stats *stats = &server->stats;
    const struct ledger *ledger = &server->ledger;
    size_t opened = atomic_load(&ledger->opened);
    uint64_t ends[LB_END_COUNT] = {0}, bytes = 0, chunks = 0, sum = 0;
    uint64_t refused = stats->refused - stats->failed_preludes; /* with an end */

    for (size_t i = 0; i < opened && i < ledger->room; i++) {
        const struct ledger_entry *entry = &ledger->entries[i];

        if (atomic_load(&entry->phase) < LEDGER_REFUSED)
            server_give_up(server, __FILE__, __LINE__, "stream %" PRIu64 " has no end", entry->id);
        ends[entry->counted_end]++;
        bytes += atomic_load(&entry->bytes);
        chunks += entry->chunks;
        CHECK(server, entry->id >= 1 && entry->id <= stats->accepted);
    }
    for (int i = 0; i < LB_END_COUNT; i++)
        sum += stats->ends[i];
    /* Peers that were accepted ahead of a limit may be stopped before the sink hears of them. */
    CHECK(server, sum >= opened + refused);
    ends[LB_END_STOPPED] += sum - opened - refused;
    CHECK_OK(server, lb_engine_outcomes(server->engine, add_refused, ends));
    for (int i = 0; i < LB_END_COUNT; i++)
        CHECK_SAME(server, stats->ends[i], ends[i]);
    CHECK_SAME(server, stats->streams, sum);
    CHECK_SAME(server, stats->accepted, sum + stats->empty);
    CHECK_SAME(server, stats->active, 0);
    CHECK_SAME(server, stats->partial, stats->streams - stats->ends[LB_END_EOF] - refused);
    CHECK_SAME(server, stats->bytes, bytes);
    CHECK(server, suite.filtered || stats->receives <= chunks);
    CHECK(server, bytes == 0 || (stats->receives > 0 && stats->waits > 0));
    CHECK(server, stats->workers > 0);
    CHECK(server, strcmp(stats->backend, suite.backend) == 0);
}

static void add_outcome(void *context, const struct lb_outcome *outcome)
{
    struct lb_stats *sum = context;

    sum->ends[outcome->end] += outcome->stream ? outcome->count : 0;
    sum->refused += outcome->refused ? outcome->count : 0;
    sum->failed_preludes += outcome->stream ? 0 : outcome->count;
}

/* Outcomes and workers tell the same in parts. */
static void check_parts(struct server *server)
{
    const struct lb_stats *stats = &server->stats;
    struct lb_stats sum = {LB_STATS_INIT};
    struct lb_worker_stats worker = {LB_WORKER_STATS_INIT};
    unsigned workers = 0;

    CHECK_OK(server, lb_engine_outcomes(server->engine, add_outcome, &sum));
    for (int i = 0; i < LB_END_COUNT; i++)
        CHECK_SAME(server, sum.ends[i], stats->ends[i]);
    CHECK_SAME(server, sum.refused, stats->refused);
    CHECK_SAME(server, sum.failed_preludes, stats->failed_preludes);
    for (; lb_engine_worker_stats(server->engine, workers, &worker) == 0; workers++) {
        sum.bytes += worker.bytes;
        sum.starved += worker.starved;
        sum.cpu_seconds += worker.cpu_seconds;
        CHECK_SAME(server, worker.streams, 0);
        CHECK(server, worker.slots > 0);
    }
    CHECK_SAME(server, workers, stats->workers);
    CHECK_SAME(server, sum.bytes, stats->bytes);
    CHECK_SAME(server, sum.starved, stats->starved);
    CHECK(server, sum.cpu_seconds > 0 && sum.cpu_seconds <= stats->cpu_seconds + 1e-6);
    CHECK_SAME(server, stats->handshaking, 0);
}

static void check_ids(struct server *server)
{
    const struct ledger *ledger = &server->ledger;
    size_t opened = atomic_load(&ledger->opened);
    uint8_t *seen = calloc(server->stats.accepted + 1, 1);

    for (size_t i = 0; i < opened; i++)
        seen[ledger->entries[i].id]++;
    for (uint64_t id = 0; id <= server->stats.accepted; id++) {
        if (seen[id] > 1) {
            free(seen);
            server_give_up(server, __FILE__, __LINE__, "two streams have the id %" PRIu64, id);
        }
    }
    free(seen);
}

void server_finish(struct server *server)
{
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server->stats = server_stats(server);
    check_stats(server);
    check_parts(server);
    check_ids(server);
    if (atomic_load(&server->ledger.broken))
        server_give_up(server, __FILE__, __LINE__, "%s", server->ledger.why);
    server_close(server);
    server->address = NULL;
    suite_leave();
    CHECK_SAME(server, process_count_fds(), server->fds);
    /* A thread that was joined, or a kernel worker of a closed ring, leaves /proc a little later.
     */
    AWAIT(server, process_count_threads() <= server->threads);
}

static void dump_entry(const struct ledger_entry *entry)
{
    static const char *const phases[] = {"none", "open", "refused", "ended"};
    enum ledger_phase phase = atomic_load(&entry->phase);

    fprintf(stderr, "  stream %" PRIu64 " tag %" PRIu64 " from %s: %s, %" PRIu64 " bytes%s%s\n",
            entry->id, entry->tag, entry->peer, phases[phase], atomic_load(&entry->bytes),
            phase == LEDGER_ENDED ? ", end " : "",
            phase == LEDGER_ENDED ? lb_end_name(entry->end) : "");
}

void server_dump(struct server *server)
{
    struct ledger *ledger = &server->ledger;
    size_t opened = atomic_load(&ledger->opened), shown = 0;
    struct lb_stats stats = {LB_STATS_INIT};

    fprintf(stderr, "%s on %s, %s\n", server->name, suite.backend, server->path);
    if (server->engine) {
        lb_engine_stats(server->engine, &stats);
        fprintf(stderr,
                "  accepted %" PRIu64 " active %" PRIu64 " streams %" PRIu64 " partial %" PRIu64
                " bytes %" PRIu64 " waits %" PRIu64 " receives %" PRIu64 " starved %" PRIu64 "\n",
                stats.accepted, stats.active, stats.streams, stats.partial, stats.bytes,
                stats.waits, stats.receives, stats.starved);
        for (int i = 0; i < LB_END_COUNT; i++)
            fprintf(stderr, "  %s %" PRIu64, lb_end_name((enum lb_end)i), stats.ends[i]);
        fprintf(stderr, "\n");
    }
    fprintf(stderr, "  sink: opened %zu ended %zu under way %u, at most %u\n", opened,
            atomic_load(&ledger->ended), atomic_load(&ledger->under_way),
            atomic_load(&ledger->most_under_way));
    if (atomic_load(&ledger->broken))
        fprintf(stderr, "  sink: broken promise: %s\n", ledger->why);
    for (size_t i = 0; i < opened && i < ledger->room && shown < 20; i++) {
        if (opened <= 20 || atomic_load(&ledger->entries[i].phase) == LEDGER_OPEN) {
            dump_entry(&ledger->entries[i]);
            shown++;
        }
    }
}

void server_give_up(struct server *server, const char *file, int line, const char *format, ...)
{
    char text[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    server_dump(server);
    print_error("%s on %s, %s: %s\n", server->name, suite.backend, server->path, text);
    _fail(file, line);
    abort(); /* _fail has jumped away */
}
