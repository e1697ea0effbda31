/* SPDX-License-Identifier: MIT */
/* Misuse from within: sinks that return nonsense, and calls that an engine's own threads can't
 * make. */
#include "misuse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One engine that receives one stream; what its sink does is the case's. */
struct run {
    struct lb_engine *engine;
    struct lb_stats stats;
    char heard[200]; /* by the peer: its receipt */
    char notes[4000];
    atomic_int answer; /* of the call that a callback made */
};

static void take_note(void *context, enum lb_note_level level, const char *text)
{
    struct run *run = context;
    size_t used = strlen(run->notes);

    (void)level;
    snprintf(run->notes + used, sizeof(run->notes) - used, "%s\n", text);
}

/* A peer that sends a few bytes, half-closes and hears what there is. */
static void talk(struct run *run)
{
    int fd = lb_connect(lb_engine_address(run->engine, 0), 10000, NULL);
    size_t heard = 0;
    ssize_t got;

    assert_true(fd >= 0);
    /* A sink that has failed already may have reset us. */
    (void)!send(fd, "twelve bytes", 12, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while ((got = recv(fd, run->heard + heard, sizeof(run->heard) - 1 - heard, 0)) > 0)
        heard += (size_t)got;
    close(fd);
}

static void open_engine(struct run *run, const struct lb_sink *sink)
{
    struct lb_config config = honest_config();

    *run = (struct run){.stats = {LB_STATS_INIT}, .answer = 1};
    config.sink = sink;
    config.sink_context = run;
    config.receipt = "xxh3";
    config.note = take_note;
    config.note_context = run;
    assert_int_equal(lb_engine_open(&run->engine, &config, NULL), 0);
}

static void serve(struct run *run, const struct lb_sink *sink)
{
    open_engine(run, sink);
    assert_int_equal(lb_engine_start(run->engine), 0);
    talk(run);
    assert_int_equal(lb_engine_wait(run->engine, -1), 0);
    assert_int_equal(lb_engine_stats(run->engine, &run->stats), 0);
    assert_int_equal(lb_engine_close(run->engine), 0);
}

/* ---- nonsense -------------------------------------------------------------------------------- */

static int returns_1(struct lb_stream *stream, void *context)
{
    (void)stream;
    (void)context;
    return 1;
}

static ssize_t take_all(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

static ssize_t take_less(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size - 1;
}

static ssize_t take_nothing(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    (void)size;
    return 0;
}

static ssize_t take_more(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size + 1;
}

/* Pauses, and asks to be called again. */
static ssize_t pause_first(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    assert_int_equal(lb_stream_alarm(stream, 0), 0);
    return 0;
}

static int end_7(struct lb_stream *stream, void *context, enum lb_end end)
{
    (void)stream;
    (void)context;
    (void)end;
    return 7;
}

static int end_unsettled(struct lb_stream *stream, void *context, enum lb_end end)
{
    (void)stream;
    (void)context;
    (void)end;
    return LB_UNSETTLED;
}

static int end_in_progress(struct lb_stream *stream, void *context, enum lb_end end)
{
    (void)stream;
    (void)context;
    (void)end;
    return -EINPROGRESS;
}

static int settle_7(struct lb_stream *const *streams, size_t count, void *context)
{
    (void)streams;
    (void)count;
    (void)context;
    return 7;
}

static void nonsense_ends_its_stream(void **state)
{
    static const struct {
        const char *call;
        struct lb_sink sink;
    } cases[] = {
        {"open", {LB_SINK_INIT, .write = take_all, .open = returns_1}},
        {"write", {LB_SINK_INIT, .write = take_less}},
        {"write", {LB_SINK_INIT, .write = take_nothing}},
        {"write", {LB_SINK_INIT, .write = take_more}},
        {"write", {LB_SINK_INIT, .write = take_more, .flags = LB_SINK_MAY_PAUSE}},
        {"ready",
         {LB_SINK_INIT, .write = pause_first, .ready = returns_1, .flags = LB_SINK_MAY_PAUSE}},
        {"end", {LB_SINK_INIT, .write = take_all, .end = end_7}},
        {"end", {LB_SINK_INIT, .write = take_all, .end = end_7, .flags = LB_SINK_SLOW_END}},
        {"end", {LB_SINK_INIT, .write = take_all, .end = end_unsettled}},
        {"end",
         {LB_SINK_INIT, .write = take_all, .end = end_in_progress, .flags = LB_SINK_SLOW_END}},
        {"settle",
         {LB_SINK_INIT, .write = take_all, .end = end_unsettled, .settle = settle_7,
          .flags = LB_SINK_SLOW_END}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[80];
        struct run run;

        snprintf(expected, sizeof(expected), "breaks its contract: %s ", cases[i].call);
        serve(&run, &cases[i].sink);
        if (run.stats.ends[LB_END_SINK] != 1 || !strstr(run.notes, expected) ||
            strncmp(run.heard, "ok ", 3) == 0)
            fail_msg("case %zu, %s: %llu ends as sink, the peer heard '%s', noted was: %s", i,
                     cases[i].call, (unsigned long long)run.stats.ends[LB_END_SINK], run.heard,
                     run.notes);
    }
}

static const char *two_lines(struct lb_stream *stream, void *context)
{
    (void)stream;
    (void)context;
    return "id\nok 99 xxh3:0";
}

/* Its bytes are safe, so its sender is told so, by a name of the engine's. */
static void a_receipt_is_one_line(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .write = take_all, .receipt_id = two_lines};
    struct run run;

    (void)state;
    serve(&run, &sink);
    assert_int_equal(run.stats.ends[LB_END_EOF], 1);
    assert_non_null(strstr(run.notes, "breaks its contract: receipt_id "));
    assert_int_equal(strncmp(run.heard, "ok 12 ", 6), 0);
    assert_ptr_equal(strchr(run.heard, '\n'), run.heard + strlen(run.heard) - 1);
}

/* ---- calls from an engine's own threads ------------------------------------------------------ */

static int close_it(struct run *run)
{
    return lb_engine_close(run->engine);
}

static int wait_for_it(struct run *run)
{
    return lb_engine_wait(run->engine, -1);
}

static int list_it(struct run *run)
{
    return (int)lb_engine_streams(run->engine, NULL, 0);
}

static int start_it(struct run *run)
{
    return lb_engine_start(run->engine);
}

/* Where it is called, and what. */
static int (*misuse)(struct run *run);

static void call(void *context)
{
    struct run *run = context;

    if (run->answer == 1)
        run->answer = misuse(run);
}

static int call_in_open(struct lb_stream *stream, void *context)
{
    (void)stream;
    call(context);
    return 0;
}

static ssize_t call_in_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)data;
    call(context);
    return (ssize_t)size;
}

static int call_in_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    (void)stream;
    (void)end;
    call(context);
    return 0;
}

static int call_in_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    (void)streams;
    (void)count;
    call(context);
    return 0;
}

static void an_engine_cannot_wait_for_itself(void **state)
{
    static const struct {
        const char *where;
        struct lb_sink sink;
    } places[] = {
        {"open", {LB_SINK_INIT, .write = take_all, .open = call_in_open}},
        {"write", {LB_SINK_INIT, .write = call_in_write}},
        {"end", {LB_SINK_INIT, .write = take_all, .end = call_in_end}},
        {"slow end",
         {LB_SINK_INIT, .write = take_all, .end = call_in_end, .flags = LB_SINK_SLOW_END}},
        {"settle",
         {LB_SINK_INIT, .write = take_all, .end = end_unsettled, .settle = call_in_settle,
          .flags = LB_SINK_SLOW_END}},
    };
    static const struct {
        int (*misuse)(struct run *run);
        int answer;
        const char *note;
    } calls[] = {
        {close_it, -EDEADLK, "lb_engine_close was called from one of the engine's own threads"},
        {wait_for_it, -EDEADLK, "lb_engine_wait was called from one of the engine's own threads"},
        {start_it, -EALREADY, ""},
        {list_it, -EDEADLK, "lb_engine_streams was called from one of the engine's own threads"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (size_t j = 0; j < sizeof(places) / sizeof(places[0]); j++) {
            struct run run;

            misuse = calls[i].misuse;
            serve(&run, &places[j].sink);
            if (run.answer != calls[i].answer || !strstr(run.notes, calls[i].note))
                fail_msg("call %zu from %s: %d, noted was: %s", i, places[j].where, run.answer,
                         run.notes);
        }
    }
}

/* The engine stops at once, though a stream is under way and no count reached. */
static void a_refused_close_stops(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .write = call_in_write};
    struct run run;
    int fd;

    (void)state;
    misuse = close_it;
    open_engine(&run, &sink);
    assert_int_equal(lb_engine_start(run.engine), 0);
    fd = lb_connect(lb_engine_address(run.engine, 0), 10000, NULL);
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(lb_engine_wait(run.engine, -1), 0);
    assert_int_equal(lb_engine_stats(run.engine, &run.stats), 0);
    assert_int_equal(run.stats.ends[LB_END_STOPPED], 1);
    assert_int_equal(lb_engine_close(run.engine), 0);
    assert_int_equal(run.answer, -EDEADLK);
    close(fd);
}

static void call_in_note(void *context, enum lb_note_level level, const char *text)
{
    call(context);
    take_note(context, level, text);
}

/* The note of the refusal can't be told in the middle of another: it comes after it. */
static void closed_by_a_note(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .write = take_less};
    struct lb_config config = honest_config();
    struct run run = {.answer = 1};

    (void)state;
    misuse = close_it;
    config.sink = &sink;
    config.note = call_in_note;
    config.note_context = &run;
    assert_int_equal(lb_engine_open(&run.engine, &config, NULL), 0);
    assert_int_equal(lb_engine_start(run.engine), 0);
    talk(&run);
    assert_int_equal(lb_engine_wait(run.engine, -1), 0);
    assert_int_equal(lb_engine_close(run.engine), 0);
    assert_int_equal(run.answer, -EDEADLK);
    assert_non_null(strstr(run.notes, "write takes less than it is given"));
    assert_non_null(strstr(run.notes, "lb_engine_close was called from"));
}

/* ---- what a sink asks of its stream ---------------------------------------------------------- */

/* The first that is not as expected, or 0. */
static int first_wrong(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].returned != rows[i].expected) {
            print_error("%s, %s: returned %lld\n", rows[i].function, rows[i].misuse,
                        (long long)rows[i].returned);
            return (int)i + 1;
        }
    return 0;
}

static int ask_in_open(struct lb_stream *stream, void *context)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), own = lb_stream_fd(stream);
    struct run *run = context;
    const struct row rows[] = {
        ROW(lb_stream_watch, "the own connection", lb_stream_watch(stream, own, POLLIN), -EINVAL),
        ROW(lb_stream_watch, "no descriptor", lb_stream_watch(stream, -1, POLLIN), -EBADF),
        ROW(lb_stream_watch, "a file", lb_stream_watch(stream, file, POLLIN), -EPERM),
        ROW(lb_stream_watch, "other events", lb_stream_watch(stream, own, POLLPRI), -EINVAL),
        ROW(lb_stream_say, "NULL", lb_stream_say(stream, NULL, 5), -EINVAL),
        ROW(lb_stream_say, "nothing", lb_stream_say(stream, NULL, 0), 0),
        ROW(lb_stream_peer, "NULL", lb_stream_peer(stream, NULL), 0),
        ROW(lb_stream_address, "NULL", lb_stream_address(stream, NULL), -EINVAL),
    };

    run->answer = first_wrong(rows, sizeof(rows) / sizeof(rows[0]));
    close(file);
    return 0;
}

/* On the committer's thread, which the stream's worker shares nothing with. */
static int ask_in_slow_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct run *run = context;
    int ends[2];

    (void)end;
    if (pipe(ends) < 0)
        return -errno;
    const struct row rows[] = {
        ROW(lb_stream_watch, "in a slow end", lb_stream_watch(stream, ends[0], POLLIN), -EBUSY),
        ROW(lb_stream_say, "in a slow end", lb_stream_say(stream, "x", 1), -EBUSY),
        ROW(lb_stream_alarm, "in a slow end", lb_stream_alarm(stream, 1), -EBUSY),
        ROW(lb_stream_finish, "in a slow end", lb_stream_finish(stream), -EBUSY),
        ROW(lb_stream_refuse, "in a slow end", lb_stream_refuse(stream, "no"), -EBUSY),
    };

    run->answer = run->answer ? run->answer : first_wrong(rows, sizeof(rows) / sizeof(rows[0]));
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void a_stream_is_asked_too_much(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .write = take_all, .open = ask_in_open,
                                        .end = ask_in_slow_end, .flags = LB_SINK_SLOW_END};
    struct run run;

    (void)state;
    serve(&run, &sink);
    assert_int_equal(run.answer, 0);
    assert_int_equal(run.stats.ends[LB_END_EOF], 1);
}

const struct CMUnitTest callbacks_tests[] = {
    cmocka_unit_test(nonsense_ends_its_stream),
    cmocka_unit_test(a_receipt_is_one_line),
    cmocka_unit_test(an_engine_cannot_wait_for_itself),
    cmocka_unit_test(a_refused_close_stops),
    cmocka_unit_test(closed_by_a_note),
    cmocka_unit_test(a_stream_is_asked_too_much),
};
const size_t callbacks_count = sizeof(callbacks_tests) / sizeof(callbacks_tests[0]);
