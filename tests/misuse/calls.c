/* SPDX-License-Identifier: MIT */
/* Calls from outside an engine: NULL, values that nothing has, an engine in the wrong state. */
#include "misuse.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void streams(void **state)
{
    char name[LB_PEER_SIZE];
    struct sockaddr_storage address;
    const struct row rows[] = {
        ROW(lb_stream_id, "NULL", lb_stream_id(NULL), 0),
        ROW(lb_stream_bytes, "NULL", lb_stream_bytes(NULL), 0),
        ROW(lb_stream_peer, "NULL", lb_stream_peer(NULL, name), 0),
        ROW(lb_stream_why, "NULL", lb_stream_why(NULL), 0),
        ROW(lb_stream_identity, "NULL", lb_stream_identity(NULL), 0),
        ROW(lb_stream_fd, "NULL", lb_stream_fd(NULL), -EINVAL),
        ROW(lb_stream_address, "NULL", lb_stream_address(NULL, &address), -EINVAL),
        ROW(lb_stream_listener, "NULL", lb_stream_listener(NULL), -EINVAL),
        ROW(lb_stream_engine, "NULL", lb_stream_engine(NULL), 0),
        ROW(lb_stream_worker, "NULL", lb_stream_worker(NULL), 0),
        ROW(lb_stream_error, "NULL", lb_stream_error(NULL), -EINVAL),
        ROW(lb_stream_finish, "NULL", lb_stream_finish(NULL), -EINVAL),
        ROW(lb_stream_refuse, "NULL", lb_stream_refuse(NULL, "no"), -EINVAL),
        ROW(lb_stream_say, "NULL", lb_stream_say(NULL, "x", 1), -EINVAL),
        ROW(lb_stream_alarm, "NULL", lb_stream_alarm(NULL, 1), -EINVAL),
        ROW(lb_stream_over_limit, "NULL", lb_stream_over_limit(NULL, "mine"), -EINVAL),
        ROW(lb_stream_in_doubt, "NULL", lb_stream_in_doubt(NULL), -EINVAL),
        ROW(lb_stream_state, "NULL", lb_stream_state(NULL), 0),
        ROW(lb_stream_receipt, "NULL", lb_stream_receipt(NULL), false),
        ROW(lb_stream_watch, "NULL", lb_stream_watch(NULL, 0, POLLIN), -EINVAL),
    };

    (void)state;
    CHECK_ROWS(rows);
    assert_string_equal(lb_end_name(LB_END_COUNT), "unknown");
    assert_string_equal(lb_engine_event_name(LB_ENGINE_EVENT_COUNT), "unknown");
    assert_string_equal(lb_end_name((enum lb_end) - 1), "unknown");
}

static void sinks(void **state)
{
    static const struct lb_sink nameless = {LB_SINK_INIT};
    const struct lb_sink *sink;
    void *context;
    const struct row rows[] = {
        ROW(lb_sink_open, "no sink", told(lb_sink_open(NULL, &context, "print", NULL, ask())),
            -EINVAL),
        ROW(lb_sink_open, "no context", told(lb_sink_open(&sink, NULL, "print", NULL, ask())),
            -EINVAL),
        ROW(lb_sink_open, "no specification",
            told(lb_sink_open(&sink, &context, NULL, NULL, ask())), -EINVAL),
        ROW(lb_sink_open, "unknown", told(lb_sink_open(&sink, &context, "sieve", NULL, ask())),
            -EINVAL),
        ROW(lb_sink_open, "no error", lb_sink_open(&sink, &context, NULL, NULL, NULL), -EINVAL),
        ROW(lb_sink_close, "NULL", lb_sink_close(NULL, NULL), 0),
        ROW(lb_sink_close, "a foreign sink", lb_sink_close(&honest_sink, NULL), -EINVAL),
        ROW(lb_sink_close, "a foreign sink", lb_sink_close(&nameless, NULL), -EINVAL),
        ROW(lb_sink_describe, "NULL", lb_sink_describe(0, NULL), false),
        ROW(lb_backend_describe, "NULL", lb_backend_describe(0, NULL), false),
        ROW(lb_probe, "NULL", lb_probe(NULL), -EINVAL),
    };

    (void)state;
    CHECK_ROWS(rows);
    assert_int_equal(lb_sink_open(&sink, &context, "hash", NULL, NULL), 0);
    assert_int_equal(lb_sink_close(sink, NULL), -EINVAL);
    assert_int_equal(lb_sink_close(sink, context), 0);
}

/* Each time a new pair, as it is wrapped. */
#define WRAPPED(statement)                                                                         \
    ({                                                                                             \
        struct lb_sink outer = {LB_SINK_INIT};                                                     \
        struct lb_wrap wrap = {LB_WRAP_INIT, .inner = &honest_sink};                               \
                                                                                                   \
        statement;                                                                                 \
        told(lb_sink_wrap(&outer, &wrap, ask()));                                                  \
    })

static void close_nothing(void *context, void *state)
{
    (void)context;
    (void)state;
}

static void wrapped_sinks(void **state)
{
    static const struct lb_sink empty = {LB_SINK_INIT, .name = "empty"};
    static const struct lb_sink unsized = {.name = "unsized"};
    struct lb_sink plain = {LB_SINK_INIT}, worker = honest_sink;
    struct lb_wrap honest = {LB_WRAP_INIT, .inner = &honest_sink}, unset = {.inner = &honest_sink};

    worker.worker_close = close_nothing;
    const struct row rows[] = {
        ROW(lb_sink_wrap, "no outer", told(lb_sink_wrap(NULL, &honest, ask())), -EINVAL),
        ROW(lb_sink_wrap, "no wrap", told(lb_sink_wrap(&plain, NULL, ask())), -EINVAL),
        ROW(lb_sink_wrap, "a wrap's size of 0", told(lb_sink_wrap(&plain, &unset, ask())), -EINVAL),
        ROW(lb_sink_wrap, "no inner", WRAPPED(wrap.inner = NULL), -EINVAL),
        ROW(lb_sink_wrap, "itself", WRAPPED(wrap.inner = &outer), -EINVAL),
        ROW(lb_sink_wrap, "an inner without write", WRAPPED(wrap.inner = &empty), -EINVAL),
        ROW(lb_sink_wrap, "an inner's size of 0", WRAPPED(wrap.inner = &unsized), -EINVAL),
        ROW(lb_sink_wrap, "a size of 0", WRAPPED(outer.size = 0), -EINVAL),
        ROW(lb_sink_wrap, "unknown flags", WRAPPED(outer.flags = 1u << 31), -EINVAL),
        ROW(lb_sink_wrap, "a huge state", WRAPPED(outer.state_size = SIZE_MAX - 1), -EINVAL),
        ROW(lb_sink_wrap, "too short for inner",
            WRAPPED((wrap.inner = &worker, outer.size = offsetof(struct lb_sink, worker_open))),
            -E2BIG),
        ROW(lb_wrap_state, "no wrap", lb_wrap_state(NULL, NULL), 0),
        ROW(lb_wrap_state, "no stream", lb_wrap_state(&honest, NULL), 0),
    };

    (void)state;
    CHECK_ROWS(rows);
    /* Nothing of it was changed. */
    assert_null(plain.write);
    assert_int_equal(lb_sink_wrap(&plain, &honest, NULL), 0);
    assert_non_null(plain.write);
    assert_string_equal(plain.name, "honest");
}

static void addresses(void **state)
{
    const struct row rows[] = {
        ROW(lb_address_check, "NULL", told(lb_address_check(NULL, ask())), -EINVAL),
        ROW(lb_address_check, "empty", told(lb_address_check("", ask())), -EINVAL),
        ROW(lb_network_check, "NULL", told(lb_network_check(NULL, ask())), -EINVAL),
        ROW(lb_network_check, "empty", told(lb_network_check("", ask())), -EINVAL),
        ROW(lb_connect, "NULL", told(lb_connect(NULL, 0, ask())), -EINVAL),
        ROW(lb_connect, "a descriptor", told(lb_connect("fd:0", 0, ask())), -EINVAL),
        ROW(lb_connect_with, "NULL", told(lb_connect_with(NULL, 0, 0, ask())), -EINVAL),
        ROW(lb_connect_with, "an unknown flag",
            told(lb_connect_with("localhost:1", 1u << 31, 0, ask())), -EINVAL),
        ROW(lb_version, "none there is", lb_version() == NULL, 0),
    };

    (void)state;
    CHECK_ROWS(rows);
}

/* ---- one stream ------------------------------------------------------------------------------ */

static int bound_socket(int type)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void one_stream(void **state)
{
    static const struct lb_sink empty = {LB_SINK_INIT, .name = "empty"};
    const struct lb_receive_options unsized = {.size = 0};
    int datagrams = bound_socket(SOCK_DGRAM), fresh = bound_socket(SOCK_STREAM);
    int listener = bound_socket(SOCK_STREAM),
        unix_fresh = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ends[2], pipe_ends[2];
    size_t size;
    void *data;

    (void)state;
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(pipe(pipe_ends), 0);
    const struct row rows[] = {
        ROW(lb_receive_fd_with, "options without a size",
            lb_receive_fd_with(ends[0], &honest_sink, NULL, &unsized, NULL), -EINVAL),
        ROW(lb_collect_fd_with, "options without a size",
            lb_collect_fd_with(ends[0], 10, &unsized, &data, &size), -EINVAL),
        ROW(lb_receive_fd, "no sink", lb_receive_fd(ends[0], NULL, NULL, NULL), -EINVAL),
        ROW(lb_receive_fd, "a sink without write", lb_receive_fd(ends[0], &empty, NULL, NULL),
            -EINVAL),
        ROW(lb_receive_fd, "no descriptor", lb_receive_fd(-1, &honest_sink, NULL, NULL), -EBADF),
        ROW(lb_receive_fd, "a pipe", lb_receive_fd(pipe_ends[0], &honest_sink, NULL, NULL),
            -ENOTSOCK),
        ROW(lb_receive_fd, "datagrams", lb_receive_fd(datagrams, &honest_sink, NULL, NULL),
            -EPROTOTYPE),
        ROW(lb_receive_fd, "not connected", lb_receive_fd(fresh, &honest_sink, NULL, NULL),
            -ENOTCONN),
        ROW(lb_receive_fd, "not connected", lb_receive_fd(unix_fresh, &honest_sink, NULL, NULL),
            -ENOTCONN),
        ROW(lb_receive_fd, "listens", lb_receive_fd(listener, &honest_sink, NULL, NULL), -ENOTCONN),
        ROW(lb_collect_fd, "no data", lb_collect_fd(ends[0], 1, NULL, &size), -EINVAL),
        ROW(lb_collect_fd, "no size", lb_collect_fd(ends[0], 1, &data, NULL), -EINVAL),
        ROW(lb_collect_fd, "no descriptor", lb_collect_fd(-1, 1, &data, &size), -EBADF),
        ROW(lb_collect_fd, "listens", lb_collect_fd(listener, 1, &data, &size), -ENOTCONN),
    };
    CHECK_ROWS(rows);
    /* What was refused has taken nothing. */
    assert_int_equal(write(ends[1], "whole", 5), 5);
    close(ends[1]);
    assert_int_equal(lb_collect_fd(ends[0], 100, &data, &size), 0);
    assert_string_equal(data, "whole");
    free(data);
    for (size_t i = 0; i < 2; i++)
        close(pipe_ends[i]);
    close(ends[0]);
    close(datagrams);
    close(fresh);
    close(unix_fresh);
    close(listener);
}

/* A peer that has reset is none any more for getpeername, and yet the stream has its end. */
static void a_reset_connection_was_connected(void **state)
{
    const struct linger now = {.l_onoff = 1};
    int listener = bound_socket(SOCK_STREAM), peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        fd;
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    enum lb_end end = LB_END_COUNT;

    (void)state;
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, size), 0);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(peer);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&address, &size), -1);
    assert_int_equal(lb_receive_fd(fd, &honest_sink, NULL, &end), 0);
    assert_int_equal(end, LB_END_RESET);
    close(fd);
    close(listener);
}

/* ---- an engine ------------------------------------------------------------------------------- */

#define OPENED_WITH(statement)                                                                     \
    ({                                                                                             \
        struct lb_config config = honest_config();                                                 \
        struct lb_sink sink = honest_sink;                                                         \
        struct lb_engine *opened = NULL;                                                           \
        int64_t opened_rc;                                                                         \
                                                                                                   \
        config.sink = &sink;                                                                       \
        statement;                                                                                 \
        opened_rc = told(lb_engine_open(&opened, &config, ask()));                                 \
        lb_engine_close(opened);                                                                   \
        opened_rc;                                                                                 \
    })

static int never_settles(struct lb_stream *const *opened, size_t count, void *context)
{
    (void)opened;
    (void)count;
    (void)context;
    return 0;
}

static void configurations(void **state)
{
    static const char *const nowhere[] = {NULL}, *const networks[] = {"10.0.0.0/33", NULL};
    const struct row rows[] = {
        ROW(lb_engine_open, "no sink", OPENED_WITH(config.sink = NULL), -EINVAL),
        ROW(lb_engine_open, "no write", OPENED_WITH(sink.write = NULL), -EINVAL),
        ROW(lb_engine_open, "unknown flags", OPENED_WITH(sink.flags = 1U << 31), -EINVAL),
        ROW(lb_engine_open, "unknown needs", OPENED_WITH(sink.needs = 1U << 30), -EINVAL),
        ROW(lb_engine_open, "settle of ends that don't block",
            OPENED_WITH(sink.settle = never_settles), -EINVAL),
        ROW(lb_engine_open, "a directory that is not told",
            OPENED_WITH(sink.needs = LB_NEEDS_DIRECTORY), -EINVAL),
        ROW(lb_engine_open, "a huge state", OPENED_WITH(sink.state_size = SIZE_MAX - 3), -EINVAL),
        ROW(lb_engine_open, "no listen", OPENED_WITH(config.listen = NULL), -EINVAL),
        ROW(lb_engine_open, "an empty listen", OPENED_WITH(config.listen = nowhere), -EINVAL),
        ROW(lb_engine_open, "no such backend", OPENED_WITH(config.backend = "kqueue"), -EINVAL),
        ROW(lb_engine_open, "no such receipt", OPENED_WITH(config.receipt = "md5"), -EINVAL),
        ROW(lb_engine_open, "no such network", OPENED_WITH(config.allow = networks), -EINVAL),
        ROW(lb_engine_open, "too many workers", OPENED_WITH(config.workers = UINT32_MAX - 1),
            -EINVAL),
        ROW(lb_engine_open, "too many streams", OPENED_WITH(config.max_streams = UINT32_MAX),
            -EINVAL),
        ROW(lb_engine_open, "a huge slot", OPENED_WITH(config.slot_size = SIZE_MAX), -EINVAL),
        ROW(lb_engine_open, "too many slots", OPENED_WITH(config.slots = UINT32_MAX), -EINVAL),
        ROW(lb_engine_open, "a greeting of NULL", OPENED_WITH(config.greeting_size = 1), -EINVAL),
        ROW(lb_engine_open, "users of NULL", OPENED_WITH(config.allow_uid_count = 1), -EINVAL),
        ROW(lb_engine_open, "no such level", OPENED_WITH(config.note_level = (enum lb_note_level)7),
            -EINVAL),
        ROW(lb_engine_open, "blocking without threads",
            OPENED_WITH(config.backend = "blocking"; config.workers = LB_NO_THREADS), -EINVAL),
        ROW(lb_engine_open, "no such mode", OPENED_WITH(config.unix_mode = 010000), -EINVAL),
    };

    (void)state;
    CHECK_ROWS(rows);
}

/* Whoever made a mistake with flags should see which. */
static void unknown_bits_are_named(void **state)
{
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_config config = honest_config();
    struct lb_sink sink = honest_sink;
    struct lb_engine *engine;

    (void)state;
    config.sink = &sink;
    sink.flags = LB_SINK_SERIAL | 0x500;
    assert_int_equal(lb_engine_open(&engine, &config, &error), -EINVAL);
    assert_non_null(strstr(error.text, "honest"));
    assert_non_null(strstr(error.text, "flags"));
    assert_non_null(strstr(error.text, "0x500"));
}

static void ignore_outcome(void *context, const struct lb_outcome *outcome)
{
    (void)context;
    (void)outcome;
}

static void an_engine_in_the_wrong_state(void **state)
{
    struct lb_config config = honest_config();
    struct lb_stats stats = {LB_STATS_INIT};
    struct lb_stream_info unsized = {.size = 0};
    struct lb_engine *engine = NULL;
    const struct row of_null[] = {
        ROW(lb_config_init_sized, "NULL", lb_config_init_sized(NULL, sizeof(config)), -EINVAL),
        ROW(lb_engine_open, "no engine", told(lb_engine_open(NULL, &config, ask())), -EINVAL),
        ROW(lb_engine_open, "no configuration", told(lb_engine_open(&engine, NULL, ask())),
            -EINVAL),
        ROW(lb_engine_open, "nothing", lb_engine_open(NULL, NULL, NULL), -EINVAL),
        ROW(lb_engine_start, "NULL", lb_engine_start(NULL), -EINVAL),
        ROW(lb_engine_wait, "NULL", lb_engine_wait(NULL, 0), -EINVAL),
        ROW(lb_engine_stop, "NULL", (lb_engine_stop(NULL), 0), 0),
        ROW(lb_engine_wake, "NULL", lb_engine_wake(NULL, 1), -EINVAL),
        ROW(lb_engine_end, "NULL", lb_engine_end(NULL, 1), -EINVAL),
        ROW(lb_engine_end_fd, "NULL", lb_engine_end_fd(NULL), -EINVAL),
        ROW(lb_engine_fd, "NULL", lb_engine_fd(NULL), -EINVAL),
        ROW(lb_engine_turn, "NULL", lb_engine_turn(NULL, 0), -EINVAL),
        ROW(lb_engine_listener, "NULL", lb_engine_listener(NULL, 0), -EINVAL),
        ROW(lb_engine_streams, "NULL", lb_engine_streams(NULL, NULL, 0), -EINVAL),
        ROW(lb_engine_adopt, "NULL", lb_engine_adopt(NULL, -1, NULL, 0, NULL), -EINVAL),
        ROW(lb_engine_stats, "NULL", lb_engine_stats(NULL, &stats), -EINVAL),
        ROW(lb_engine_address, "NULL", lb_engine_address(NULL, 0), 0),
        ROW(lb_engine_backend, "NULL", lb_engine_backend(NULL), 0),
        ROW(lb_engine_close, "NULL", lb_engine_close(NULL), 0),
    };

    (void)state;
    CHECK_ROWS(of_null);
    assert_null(engine);
    assert_int_equal(lb_engine_open(&engine, &config, NULL), 0);
    const struct row early[] = {
        ROW(lb_engine_wait, "before start", lb_engine_wait(engine, -1), -EINVAL),
        ROW(lb_engine_address, "past the last", lb_engine_address(engine, 1), 0),
        ROW(lb_engine_stats, "no stats", lb_engine_stats(engine, NULL), -EINVAL),
        ROW(lb_engine_listener, "past the last", lb_engine_listener(engine, 1), -ENOENT),
        ROW(lb_engine_fd, "with threads", lb_engine_fd(engine), -EINVAL),
        ROW(lb_engine_turn, "with threads", lb_engine_turn(engine, 0), -EINVAL),
        ROW(lb_engine_streams, "no place", lb_engine_streams(engine, NULL, 1), -EINVAL),
        ROW(lb_engine_streams, "no size", lb_engine_streams(engine, &unsized, 1), -EINVAL),
        ROW(lb_engine_adopt, "no descriptor", lb_engine_adopt(engine, -1, NULL, 0, NULL), -EBADF),
        ROW(lb_engine_adopt, "bytes of NULL", lb_engine_adopt(engine, -1, NULL, 1, NULL), -EINVAL),
        ROW(lb_engine_adopt, "many bytes", lb_engine_adopt(engine, -1, "", SIZE_MAX, NULL),
            -EMSGSIZE),
        ROW(lb_engine_adopt, "a file", lb_engine_adopt(engine, dup(0), NULL, 0, NULL), -ENOTSOCK),
        ROW(lb_engine_adopt, "datagrams",
            lb_engine_adopt(engine, bound_socket(SOCK_DGRAM), NULL, 0, NULL), -EPROTOTYPE),
        ROW(lb_engine_adopt, "no connection",
            lb_engine_adopt(engine, bound_socket(SOCK_STREAM), NULL, 0, NULL), -ENOTCONN),
    };
    CHECK_ROWS(early);
    assert_int_equal(lb_engine_start(engine), 0);
    assert_int_equal(lb_engine_start(engine), -EALREADY);
    assert_int_equal(lb_engine_wait(engine, 0), -ETIMEDOUT);
    lb_engine_stop(engine);
    assert_int_equal(lb_engine_wait(engine, -1), 0);
    const struct row late[] = {
        ROW(lb_engine_wait, "again", lb_engine_wait(engine, -1), 0),
        ROW(lb_engine_start, "after the end", lb_engine_start(engine), -EALREADY),
        ROW(lb_engine_stop, "after the end", (lb_engine_stop(engine), 0), 0),
        ROW(lb_engine_close, "at last", lb_engine_close(engine), 0),
    };
    CHECK_ROWS(late);
}

static void configurations_by_text(void **state)
{
    struct lb_config *config = lb_config_new();
    const struct row rows[] = {
        ROW(lb_config_set, "NULL", told(lb_config_set(NULL, "count", "1", ask())), -EINVAL),
        ROW(lb_config_set, "no name", told(lb_config_set(config, NULL, "1", ask())), -EINVAL),
        ROW(lb_config_set, "no text", told(lb_config_set(config, "count", NULL, ask())), -EINVAL),
        ROW(lb_config_set, "unknown", told(lb_config_set(config, "counts", "1", ask())), -EINVAL),
        ROW(lb_config_set, "a callback", told(lb_config_set(config, "note", "1", ask())), -EINVAL),
        ROW(lb_config_set, "no number", told(lb_config_set(config, "count", "1x", ask())), -EINVAL),
        ROW(lb_config_set, "a sign", told(lb_config_set(config, "count", "-1", ask())), -EINVAL),
        ROW(lb_config_set, "nothing", told(lb_config_set(config, "slots", "", ask())), -EINVAL),
        ROW(lb_config_set, "too large",
            told(lb_config_set(config, "max_streams", "4294967295", ask())), -EINVAL),
        ROW(lb_config_set, "none", told(lb_config_set(config, "slots", "none", ask())), -EINVAL),
        ROW(lb_config_set, "no flag", told(lb_config_set(config, "seal", "1", ask())), -EINVAL),
        ROW(lb_config_set_sink, "NULL", lb_config_set_sink(NULL, &honest_sink, NULL), -EINVAL),
        ROW(lb_config_free, "NULL", (lb_config_free(NULL), 0), 0),
        ROW(lb_config_set, "right", lb_config_set(config, "listen", "127.0.0.1:0", NULL), 0),
        ROW(lb_config_set, "one more", lb_config_set(config, "listen", "127.0.0.1:0", NULL), 0),
        ROW(lb_config_set, "right", lb_config_set(config, "workers", "none", NULL), 0),
        ROW(lb_config_set, "right", lb_config_set(config, "unix_mode", "0600", NULL), 0),
        ROW(lb_config_set, "again", lb_config_set(config, "backend", "epoll", NULL), 0),
        ROW(lb_config_set, "again", lb_config_set(config, "backend", "auto", NULL), 0),
        ROW(lb_config_set, "right", lb_config_set(config, "greeting", "hello", NULL), 0),
        ROW(lb_config_set, "right", lb_config_set(config, "ignore_empty", "true", NULL), 0),
        ROW(lb_config_set, "right", lb_config_set(config, "max_bytes", "5000000000", NULL), 0),
    };

    (void)state;
    CHECK_ROWS(rows);
    assert_string_equal(config->listen[1], "127.0.0.1:0");
    assert_null(config->listen[2]);
    assert_int_equal(config->workers, LB_NO_THREADS);
    assert_int_equal(config->unix_mode, 0600);
    assert_string_equal(config->backend, "auto");
    assert_int_equal(config->greeting_size, 5);
    assert_true(config->ignore_empty);
    assert_int_equal(config->max_bytes, UINT64_C(5000000000));
    lb_config_free(config);
}

static void auto_can_be_overridden(void **state)
{
    struct lb_config config = honest_config();
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_engine *engine = NULL;

    (void)state;
    assert_int_equal(setenv("LASTBYTE_BACKEND", "blocking", 1), 0);
    assert_int_equal(lb_engine_open(&engine, &config, NULL), 0);
    assert_string_equal(lb_engine_backend(engine), "blocking");
    lb_engine_close(engine);
    config.backend = "epoll";
    assert_int_equal(lb_engine_open(&engine, &config, NULL), 0);
    assert_string_equal(lb_engine_backend(engine), "epoll");
    lb_engine_close(engine);
    config.backend = "auto";
    assert_int_equal(setenv("LASTBYTE_BACKEND", "kqueue", 1), 0);
    assert_int_equal(lb_engine_open(&engine, &config, &error), -EINVAL);
    assert_non_null(strstr(error.text, "kqueue"));
    assert_int_equal(unsetenv("LASTBYTE_BACKEND"), 0);
}

static void an_engine_is_looked_at(void **state)
{
    struct lb_config config = honest_config();
    struct lb_worker_stats worker = {LB_WORKER_STATS_INIT};
    struct lb_timing timing = {LB_TIMING_INIT};
    struct lb_engine *engine = NULL;

    (void)state;
    assert_int_equal(lb_engine_open(&engine, &config, NULL), 0);
    const struct row rows[] = {
        ROW(lb_engine_worker_stats, "NULL", lb_engine_worker_stats(NULL, 0, &worker), -EINVAL),
        ROW(lb_engine_outcomes, "NULL", lb_engine_outcomes(NULL, ignore_outcome, NULL), -EINVAL),
        ROW(lb_engine_timing, "NULL", lb_engine_timing(NULL, 0, &timing), -EINVAL),
        ROW(lb_engine_worker_stats, "no stats", lb_engine_worker_stats(engine, 0, NULL), -EINVAL),
        ROW(lb_engine_worker_stats, "past the last", lb_engine_worker_stats(engine, 1, &worker),
            -ENOENT),
        ROW(lb_engine_outcomes, "no one to tell", lb_engine_outcomes(engine, NULL, NULL), -EINVAL),
        ROW(lb_engine_timing, "no timing", lb_engine_timing(engine, 0, NULL), -EINVAL),
        ROW(lb_engine_timing, "past the last", lb_engine_timing(engine, 9, &timing), -ENOENT),
    };
    CHECK_ROWS(rows);
    assert_int_equal(lb_engine_close(engine), 0);
}

static void *turn_elsewhere(void *argument)
{
    return (void *)(intptr_t)lb_engine_turn(argument, 0);
}

/* The thread that has started it is the one that runs it. */
static void an_own_loop_is_run_wrongly(void **state)
{
    struct lb_config config = honest_config();
    struct lb_engine *engine = NULL;
    pthread_t thread;
    void *answer;

    (void)state;
    config.workers = LB_NO_THREADS;
    assert_int_equal(lb_engine_open(&engine, &config, NULL), 0);
    assert_int_equal(lb_engine_turn(engine, 0), -EINVAL);
    assert_int_equal(lb_engine_start(engine), 0);
    assert_int_equal(pthread_create(&thread, NULL, turn_elsewhere, engine), 0);
    assert_int_equal(pthread_join(thread, &answer), 0);
    assert_int_equal((intptr_t)answer, -EPERM);
    assert_int_equal(lb_engine_turn(engine, 0), 1);
    assert_int_equal(lb_engine_wait(engine, 10), -ETIMEDOUT);
    lb_engine_stop(engine);
    assert_int_equal(lb_engine_wait(engine, -1), 0);
    assert_int_equal(lb_engine_turn(engine, 0), 0);
    assert_int_equal(lb_engine_close(engine), 0);
}

/* A function that comes stands in one of the tables above, too. */
static void every_function_is_here(void **state)
{
    FILE *map = fopen(LASTBYTE_MAP, "r"), *source = fopen(THIS_SOURCE, "r");
    static char text[64 << 10];
    char line[200], row[200];
    unsigned count = 0;

    (void)state;
    assert_non_null(map);
    assert_non_null(source);
    text[fread(text, 1, sizeof(text) - 1, source)] = '\0';
    while (fgets(line, sizeof(line), map)) {
        if (strncmp(line, "    lb_", 7) != 0)
            continue;
        line[strcspn(line, ";")] = '\0';
        snprintf(row, sizeof(row), "%s(", line + 4);
        if (!strstr(text, row))
            fail_msg("%s stands in no table of misuse", line + 4);
        count++;
    }
    assert_true(count > 30);
    fclose(map);
    fclose(source);
}

const struct CMUnitTest calls_tests[] = {
    cmocka_unit_test(streams),
    cmocka_unit_test(sinks),
    cmocka_unit_test(wrapped_sinks),
    cmocka_unit_test(addresses),
    cmocka_unit_test(one_stream),
    cmocka_unit_test(a_reset_connection_was_connected),
    cmocka_unit_test(configurations),
    cmocka_unit_test(unknown_bits_are_named),
    cmocka_unit_test(an_engine_in_the_wrong_state),
    cmocka_unit_test(an_engine_is_looked_at),
    cmocka_unit_test(configurations_by_text),
    cmocka_unit_test(auto_can_be_overridden),
    cmocka_unit_test(an_own_loop_is_run_wrongly),
    cmocka_unit_test(every_function_is_here),
};
const size_t calls_count = sizeof(calls_tests) / sizeof(calls_tests[0]);
