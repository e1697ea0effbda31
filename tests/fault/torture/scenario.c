/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include "support.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1 << 20, ANSWER_MAX = 1 << 18 };

/* One byte beside the tag; more than a page; several slots, and more than a pipe holds. */
static const size_t sizes[SCENARIO_PEERS] = {PAYLOAD_TAG_SIZE + 1, 5000, 100000};

/* Past the page cache: no block; a block and a rest; two slots, which threads of their own write,
 * and a rest. */
static const size_t direct_sizes[SCENARIO_PEERS] = {PAYLOAD_TAG_SIZE + 1, 5000, (2 << 20) + 100000};

unsigned long scenario_size(const struct scenario *scenario, unsigned long tag)
{
    if (tag < 1 || tag > SCENARIO_PEERS)
        return 0;
    return scenario->direct ? direct_sizes[tag - 1] : sizes[tag - 1];
}

void scenario_break(struct outcome *outcome, const char *format, ...)
{
    va_list arguments;

    if (outcome->broken)
        return;
    outcome->broken = true;
    va_start(arguments, format);
    vsnprintf(outcome->why, sizeof(outcome->why), format, arguments);
    va_end(arguments);
}

/* ---- the sink: a built-in one, overheard ----------------------------------------------------- */

struct listening {
    struct run *run;
    const struct lb_sink *sink;
    void *context;
    pthread_mutex_t mutex;
};

static int overheard_open(struct lb_stream *stream, void *context)
{
    const struct listening *ear = context;

    return ear->sink->open ? ear->sink->open(stream, ear->context) : 0;
}

static ssize_t overheard_write(struct lb_stream *stream, void *context, const void *data,
                               size_t size)
{
    const struct listening *ear = context;

    return ear->sink->write(stream, ear->context, data, size);
}

static int overheard_target(struct lb_stream *stream, void *context)
{
    const struct listening *ear = context;

    return ear->sink->target(stream, ear->context);
}

static ssize_t overheard_place(struct lb_stream *stream, void *context, void **data)
{
    const struct listening *ear = context;

    return ear->sink->place(stream, ear->context, data);
}

static int overheard_ready(struct lb_stream *stream, void *context)
{
    const struct listening *ear = context;

    return ear->sink->ready ? ear->sink->ready(stream, ear->context) : 0;
}

static void claim(struct listening *ear, const struct lb_stream *stream)
{
    struct run *run = ear->run;
    bool known = false;

    pthread_mutex_lock(&ear->mutex);
    for (unsigned tag = 1; tag <= SCENARIO_PEERS; tag++)
        known = known || lb_stream_bytes(stream) == scenario_size(run->scenario, tag);
    if (!known || run->claims == SCENARIO_PEERS)
        scenario_break(run->outcome, "stream %lu is said to be complete with %lu bytes",
                       (unsigned long)lb_stream_id(stream), (unsigned long)lb_stream_bytes(stream));
    else
        run->ids[run->claims++] = lb_stream_id(stream);
    pthread_mutex_unlock(&ear->mutex);
}

static int overheard_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct listening *ear = context;
    int rc = ear->sink->end ? ear->sink->end(stream, ear->context, end) : 0;

    if (rc == 0 && end == LB_END_EOF)
        claim(ear, stream);
    return rc;
}

static int overheard_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    struct listening *ear = context;
    int rc = ear->sink->settle(streams, count, ear->context);

    for (size_t i = 0; rc == 0 && i < count; i++)
        claim(ear, streams[i]);
    return rc;
}

static const char *overheard_receipt_id(struct lb_stream *stream, void *context)
{
    const struct listening *ear = context;

    return ear->sink->receipt_id(stream, ear->context);
}

static struct lb_sink overhear(const struct lb_sink *sink)
{
    struct lb_sink overheard = *sink;

    overheard.open = overheard_open;
    overheard.write = overheard_write;
    overheard.target = sink->target ? overheard_target : NULL;
    overheard.place = sink->place ? overheard_place : NULL;
    overheard.receipt_id = sink->receipt_id ? overheard_receipt_id : NULL;
    overheard.settle = sink->settle ? overheard_settle : NULL;
    overheard.ready = overheard_ready;
    overheard.end = overheard_end;
    return overheard;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static bool wants_receipts(const struct scenario *scenario)
{
    return strcmp(scenario->sink, "discard") != 0 && strcmp(scenario->sink, "stdout") != 0;
}

static bool is_echo(const struct scenario *scenario)
{
    return strcmp(scenario->sink, "exec") == 0;
}

/* What a peer that sent size bytes was answered: an echo of them, a receipt, both or neither. */
static void check_answer(struct run *run, char *answer, size_t got, size_t size)
{
    size_t echo = is_echo(run->scenario) && got > size ? size : 0;
    unsigned long bytes = 0;

    answer[got] = '\0';
    echo += echo && answer[echo] == '\n'; /* the echo's last byte was none */
    if (sscanf(answer + echo, "ok %lu xxh3:", &bytes) == 1) {
        run->proven++;
        if (bytes != size || answer[got - 1] != '\n')
            scenario_break(run->outcome, "the receipt of %zu bytes is \"%s\"", size, answer + echo);
    } else if (got > 0 && !is_echo(run->scenario) && strncmp(answer, "error ", 6) != 0) {
        scenario_break(run->outcome, "a peer that sent %zu bytes got %zu", size, got);
    }
}

static void await_answer(struct run *run, int fd, size_t size)
{
    char *answer = malloc(ANSWER_MAX + 1);
    size_t total = 0;
    ssize_t got;

    /* The commands' SIGCHLD interrupts a receive that has a time limit. */
    do {
        got = recv(fd, answer + total, ANSWER_MAX - total, 0);
        total += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0 && errno == EAGAIN)
        scenario_break(run->outcome, "a peer that sent %zu bytes waits in vain", size);
    check_answer(run, answer, total, size);
    free(answer);
    close(fd);
}

static void run_peers(struct run *run, const char *address)
{
    const struct timeval patience = {.tv_sec = scale_small() ? 40 : 10};
    int fds[SCENARIO_PEERS];

    for (int i = 0; i < SCENARIO_PEERS; i++) {
        fds[i] = peer_connect(address);
        if (fds[i] < 0)
            continue; /* a server that ended at once */
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        peer_send_payload(fds[i], (uint64_t)i + 1, 0,
                          scenario_size(run->scenario, (unsigned long)i + 1), 30000);
        shutdown(fds[i], SHUT_WR);
    }
    for (int i = 0; i < SCENARIO_PEERS; i++)
        if (fds[i] >= 0)
            await_answer(run, fds[i], scenario_size(run->scenario, (unsigned long)i + 1));
}

/* ---- the engine ------------------------------------------------------------------------------ */

static void check_books(struct run *run, struct lb_engine *engine)
{
    struct lb_stats stats = {LB_STATS_INIT};
    uint64_t ends = 0;

    lb_engine_stats(engine, &stats);
    for (int end = 0; end < LB_END_COUNT; end++)
        ends += stats.ends[end];
    if (stats.accepted != ends || stats.streams != ends || stats.active != 0)
        scenario_break(run->outcome, "%lu streams accepted, %lu ended, %lu under way",
                       (unsigned long)stats.accepted, (unsigned long)ends,
                       (unsigned long)stats.active);
    if (stats.ends[LB_END_EOF] != run->claims)
        scenario_break(run->outcome, "%lu streams are counted as complete, sinks said so of %u",
                       (unsigned long)stats.ends[LB_END_EOF], run->claims);
    if (run->proven > run->claims)
        scenario_break(run->outcome, "%u streams got a receipt, %u are complete", run->proven,
                       run->claims);
    run->outcome->complete = wants_receipts(run->scenario) ? run->proven : run->claims;
}

static void serve(struct run *run, struct lb_engine *engine)
{
    int rc;

    shim_serve();
    rc = lb_engine_start(engine);
    if (rc == 0) {
        run->outcome->began = true;
        shim_leave();
        run_peers(run, lb_engine_address(engine, 0));
        shim_enter();
        lb_engine_stop(engine);
        if (lb_engine_wait(engine, scale_small() ? 40000 : 10000) < 0)
            scenario_break(run->outcome, "the engine doesn't end");
        check_books(run, engine);
    }
    lb_engine_close(engine);
}

static void note(void *context, enum lb_note_level level, const char *text)
{
    struct outcome *outcome = context;

    (void)level;
    snprintf(outcome->note, sizeof(outcome->note), "%s", text);
}

static void run_engine(struct run *run, const struct lb_sink *sink, void *sink_context)
{
    struct listening ear = {run, sink, sink_context, PTHREAD_MUTEX_INITIALIZER};
    const struct lb_sink overheard = overhear(sink);
    const char *listen[] = {"127.0.0.1:0", NULL};
    char path[600];
    struct lb_engine *engine;
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};

    lb_config_init(&config);
    if (run->scenario->over_unix) {
        snprintf(path, sizeof(path), "unix:%s/socket", run->scenario->directory);
        listen[0] = path;
    }
    config.listen = listen;
    config.backend = run->scenario->backend;
    config.sink = &overheard;
    config.sink_context = &ear;
    config.workers = strcmp(config.backend, "blocking") == 0 ? 2 : 1;
    config.max_streams = 100;
    config.receipt = wants_receipts(run->scenario) ? "xxh3" : NULL;
    config.note = note;
    config.note_context = run->outcome;
    if (lb_engine_open(&engine, &config, &error) == 0)
        serve(run, engine);
    else if (!error.text[0])
        scenario_break(run->outcome, "the engine can't be opened, and doesn't say why");
    if (run->scenario->over_unix && access(path + strlen("unix:"), F_OK) == 0)
        scenario_break(run->outcome, "the socket's file is left behind");
}

static void run_sink(struct run *run, int output_fd)
{
    const struct scenario *scenario = run->scenario;
    const struct lb_sink_options options = {
        LB_SINK_OPTIONS_INIT,
        .output_fd = output_fd,
        .append = strcmp(scenario->sink, "file") == 0,
        .direct = scenario->direct,
    };
    char specification[600];
    const struct lb_sink *sink;
    struct lb_error error = {LB_ERROR_INIT};
    void *context;

    snprintf(specification, sizeof(specification), "%s", scenario->sink);
    if (strcmp(scenario->sink, "file") == 0)
        snprintf(specification, sizeof(specification), "file:%s/out", scenario->directory);
    else if (strcmp(scenario->sink, "dir") == 0)
        snprintf(specification, sizeof(specification), "dir:%s", scenario->directory);
    else if (strcmp(scenario->sink, "exec") == 0)
        snprintf(specification, sizeof(specification), "exec:tee '%s'/$LASTBYTE_STREAM",
                 scenario->directory);
    shim_enter();
    if (lb_sink_open(&sink, &context, specification, &options, &error) == 0) {
        run_engine(run, sink, context);
        lb_sink_close(sink, context);
    } else if (!error.text[0]) {
        scenario_break(run->outcome, "the sink can't be opened, and doesn't say why");
    }
    shim_leave();
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct drain {
    struct run *run;
    int fd;
};

static void *drain_output(void *argument)
{
    const struct drain *drain = argument;
    struct run *run = drain->run;
    ssize_t got;

    while ((got = read(drain->fd, run->output + run->output_size, OUTPUT_MAX - run->output_size)) >
           0)
        run->output_size += (unsigned long)got;
    return NULL;
}

/* Runs the sink with the writing end of a pipe that somebody reads. */
static void run_with_output(struct run *run)
{
    struct drain drain = {.run = run};
    pthread_t thread;
    int pair[2];

    if (pipe2(pair, O_CLOEXEC) < 0)
        abort();
    drain.fd = pair[0];
    pthread_create(&thread, NULL, drain_output, &drain);
    run_sink(run, pair[1]);
    close(pair[1]);
    pthread_join(thread, NULL);
    close(pair[0]);
}

static void await_threads(struct run *run, unsigned expected)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    /* A thread that was joined may be seen for a moment. */
    while (process_count_threads() > expected) {
        if (time_now_ns() > deadline) {
            scenario_break(run->outcome, "%u threads are left", process_count_threads() - expected);
            return;
        }
        time_nap();
    }
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* A sanitizer makes threads of its own with the first one that the process makes. */
static unsigned count_threads_to_come(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, do_nothing, NULL);
    pthread_join(thread, NULL);
    return process_count_threads();
}

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

void scenario_run(const struct scenario *scenario, const struct shim_plan *plan,
                  struct shim_report *report, struct outcome *outcome)
{
    struct run run = {.scenario = scenario, .outcome = outcome, .output = malloc(OUTPUT_MAX)};
    unsigned fds = process_count_fds(), threads = count_threads_to_come();
    unsigned left;

    shim_arm(plan, report);
    run_with_output(&run);
    await_threads(&run, threads);
    left = process_count_fds();
    if (left != fds)
        scenario_break(outcome, "%d descriptors are left", (int)(left - fds));
    if (atomic_load(&report->mapped) != 0)
        scenario_break(outcome, "%ld bytes are left mapped", atomic_load(&report->mapped));
    if (atomic_load(&report->complained))
        scenario_break(outcome, "%s", report->complaint);
    results_check(&run);
    free(run.output);
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
        scenario_break(outcome, "memory is leaked");
}
