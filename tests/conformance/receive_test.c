/* SPDX-License-Identifier: MIT */
/* lb_receive_fd and lb_collect_fd: one stream, in the calling thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"

#include <lastbyte/lastbyte.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_S = 60, SIZE = 100000 };

/* ---- a sink that notes what it is told ------------------------------------------------------ */

struct log {
    uint64_t bytes;
    XXH3_state_t *hash;
    unsigned opens, ends, most_threads;
    enum lb_end end;
    pthread_t thread;

    /* What the sink shall do. */
    int open_result, write_result, end_result;
    uint64_t pause_at; /* 0: never */
    struct gate *gate; /* what it waits for when it pauses or when its end is in progress */
    bool end_waits;
};

static void note_call(struct log *log)
{
    unsigned threads = process_count_threads();

    if (threads > log->most_threads)
        log->most_threads = threads;
    assert_true(pthread_equal(log->thread, pthread_self()));
}

static int log_open(struct lb_stream *stream, void *context)
{
    struct log *log = context;

    note_call(log);
    assert_int_equal(lb_stream_bytes(stream), 0);
    log->opens++;
    return log->open_result;
}

static ssize_t log_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct log *log = context;

    note_call(log);
    assert_int_equal(lb_stream_bytes(stream), log->bytes);
    if (log->write_result)
        return log->write_result;
    if (log->pause_at && log->bytes + size > log->pause_at && !gate_is_open(log->gate)) {
        size = (size_t)(log->pause_at - log->bytes);
        assert_int_equal(lb_stream_watch(stream, log->gate->fd, POLLIN), 0);
    }
    XXH3_128bits_update(log->hash, data, size);
    log->bytes += size;
    return (ssize_t)size;
}

static int log_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct log *log = context;

    note_call(log);
    log->end = end;
    if (log->end_waits && !gate_is_open(log->gate)) {
        assert_int_equal(lb_stream_watch(stream, log->gate->fd, POLLIN), 0);
        return -EINPROGRESS;
    }
    if (log->gate)
        assert_int_equal(lb_stream_watch(stream, log->gate->fd, 0), 0);
    log->ends++;
    return log->end_result;
}

static const struct lb_sink log_sink = {LB_SINK_INIT, .name = "log", .open = log_open,
                                        .write = log_write, .end = log_end};
static const struct lb_sink pausing_sink = {
    LB_SINK_INIT,     .name = "pausing",  .flags = LB_SINK_MAY_PAUSE,
    .open = log_open, .write = log_write, .end = log_end};
static const struct lb_sink slow_sink = {
    LB_SINK_INIT,     .name = "slow",     .flags = LB_SINK_SLOW_END,
    .open = log_open, .write = log_write, .end = log_end};

static int log_setup(void **state)
{
    struct log *log = calloc(1, sizeof(*log));

    log->thread = pthread_self();
    log->hash = XXH3_createState();
    XXH3_128bits_reset(log->hash);
    alarm(scale_small() ? 5 * PATIENCE_S : PATIENCE_S);
    *state = log;
    return 0;
}

static int log_teardown(void **state)
{
    struct log *log = *state;

    alarm(0);
    XXH3_freeState(log->hash);
    free(log);
    return 0;
}

static void check_log(const struct log *log, uint64_t tag, uint64_t size, enum lb_end end)
{
    assert_int_equal(log->opens, 1);
    assert_int_equal(log->ends, 1);
    assert_int_equal(log->end, end);
    assert_int_equal(log->bytes, size);
    assert_true(XXH128_isEqual(XXH3_128bits_digest(log->hash), payload_digest(tag, size)));
}

/* ---- connections ---------------------------------------------------------------------------- */

/* ends[0] is the receiver's. */
static void make_unix(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void make_tcp(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ends[1], (struct sockaddr *)&address, sizeof(address)), 0);
    ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(ends[0] >= 0);
    close(listener);
}

/* Receives what a sender sends, and checks that the receiver made no thread of its own. */
static void receive_payload(struct log *log, const struct lb_sink *sink, int ends[2], uint64_t size)
{
    const unsigned fds = process_count_fds();
    struct sender *sender;
    unsigned threads;
    enum lb_end end = LB_END_COUNT;

    assert_int_equal(sender_start(&sender, ends[1], 1, size, 30000), 0);
    threads = process_count_threads();
    assert_int_equal(lb_receive_fd(ends[0], sink, log, &end), 0);
    assert_int_equal(end, LB_END_EOF);
    assert_true(log->most_threads <= threads);
    assert_true(fcntl(ends[0], F_GETFD) >= 0);
    close(ends[0]); /* the sender's EOF */
    assert_int_equal(sender_join(sender), 0);
    assert_int_equal(process_count_fds(), fds - 2);
    check_log(log, 1, size, LB_END_EOF);
}

/* ---- lb_receive_fd -------------------------------------------------------------------------- */

static void receives_until_eof(void **state)
{
    int ends[2];

    make_tcp(ends);
    receive_payload(*state, &log_sink, ends, 20 << 20);
}

static void receives_unix(void **state)
{
    int ends[2];

    make_unix(ends);
    receive_payload(*state, &log_sink, ends, 20 << 20);
}

static void receives_nothing(void **state)
{
    int ends[2];

    make_tcp(ends);
    receive_payload(*state, &log_sink, ends, 0);
}

/* A non-blocking descriptor is waited for all the same, and stays non-blocking. */
static void receives_nonblocking(void **state)
{
    int ends[2], flags;

    make_tcp(ends);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    flags = fcntl(ends[0], F_GETFL);
    receive_payload(*state, &log_sink, ends, SIZE);
    make_unix(ends);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    close(ends[1]);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, *state, NULL), 0);
    assert_int_equal(fcntl(ends[0], F_GETFL), flags);
    close(ends[0]);
}

/* A blocking one stays blocking. */
static void leaves_flags_alone(void **state)
{
    int ends[2], flags;

    make_unix(ends);
    flags = fcntl(ends[0], F_GETFL);
    close(ends[1]);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, *state, NULL), 0);
    assert_int_equal(fcntl(ends[0], F_GETFL), flags);
    assert_int_equal(flags & O_NONBLOCK, 0);
    close(ends[0]);
}

static void receives_until_reset(void **state)
{
    enum lb_end end = LB_END_COUNT;
    struct log *log = *state;
    int ends[2];

    make_tcp(ends);
    assert_int_equal(peer_send_payload(ends[1], 1, 0, 30000, 30000), 0);
    assert_int_equal(peer_reset_behind(ends[1]), 0);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, log, &end), 0);
    assert_int_equal(end, LB_END_RESET);
    check_log(log, 1, 30000, LB_END_RESET);
    close(ends[0]);
}

/* The peer closes with a byte of ours unread. */
static void receives_until_unix_reset(void **state)
{
    enum lb_end end = LB_END_COUNT;
    struct log *log = *state;
    int ends[2];

    make_unix(ends);
    assert_int_equal(peer_send(ends[0], "?", 1), 0);
    assert_int_equal(peer_send_payload(ends[1], 1, 0, SIZE, SIZE), 0);
    close(ends[1]);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, log, &end), 0);
    assert_int_equal(end, LB_END_RESET);
    check_log(log, 1, SIZE, LB_END_RESET);
    close(ends[0]);
}

/* After the call the connection is still the caller's to answer on. */
static void answers_afterwards(void **state)
{
    char text[4] = "";
    int ends[2];

    make_tcp(ends);
    assert_int_equal(peer_send_payload(ends[1], 1, 0, 1000, 1000), 0);
    assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, *state, NULL), 0);
    assert_int_equal(peer_send(ends[0], "yes", 3), 0);
    close(ends[0]);
    assert_int_equal(peer_receive(ends[1], text, 3), 0);
    assert_string_equal(text, "yes");
    assert_int_equal(peer_await_eof(ends[1]), 0);
    close(ends[1]);
}

/* The same after a stream that the sink broke off: it is the caller's to say what happens then. */
static void answers_after_failure(void **state)
{
    enum lb_end end = LB_END_COUNT;
    struct log *log = *state;
    struct linger linger = {0};
    socklen_t size = sizeof(linger);
    char text[3] = "";
    int ends[2];

    log->write_result = -ENOSPC;
    make_tcp(ends);
    assert_int_equal(peer_send_payload(ends[1], 1, 0, 1000, 1000), 0);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, log, &end), 0);
    assert_int_equal(end, LB_END_SINK);
    check_log(log, 1, 0, LB_END_SINK);
    assert_int_equal(getsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, &size), 0);
    assert_int_equal(linger.l_onoff, 0);
    assert_int_equal(peer_send(ends[0], "no", 2), 0);
    assert_int_equal(peer_receive(ends[1], text, 2), 0);
    assert_string_equal(text, "no");
    assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
    assert_int_equal(peer_await_eof(ends[1]), 0);
    close(ends[0]);
    close(ends[1]);
}

static void sink_refuses(void **state)
{
    enum lb_end end = LB_END_COUNT;
    struct log *log = *state;
    int ends[2];

    log->open_result = -EACCES;
    make_unix(ends);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, log, &end), 0);
    assert_int_equal(end, LB_END_SINK);
    assert_int_equal(log->opens, 1);
    assert_int_equal(log->ends, 0);
    close(ends[0]);
    close(ends[1]);
}

static void sink_fails_end(void **state)
{
    enum lb_end end = LB_END_COUNT;
    struct log *log = *state;
    int ends[2];

    log->end_result = -EIO;
    make_unix(ends);
    close(ends[1]);
    assert_int_equal(lb_receive_fd(ends[0], &log_sink, log, &end), 0);
    assert_int_equal(end, LB_END_SINK);
    check_log(log, 1, 0, LB_END_EOF);
    close(ends[0]);
}

/* The calling thread has nobody to hand a slow end to: it runs it itself. */
static void sink_ends_slowly(void **state)
{
    int ends[2];

    make_unix(ends);
    receive_payload(*state, &slow_sink, ends, SIZE);
}

static void *open_later(void *argument)
{
    struct gate *gate = argument;

    poll(NULL, 0, 20);
    gate_open(gate);
    return NULL;
}

static void receive_with_gate(struct log *log)
{
    struct gate gate;
    pthread_t thread;
    int ends[2];

    assert_int_equal(gate_init(&gate), 0);
    log->gate = &gate;
    make_tcp(ends);
    assert_int_equal(pthread_create(&thread, NULL, open_later, &gate), 0);
    receive_payload(log, &pausing_sink, ends, SIZE);
    assert_true(gate_is_open(&gate));
    pthread_join(thread, NULL);
    gate_done(&gate);
}

static void sink_pauses(void **state)
{
    struct log *log = *state;

    log->pause_at = 12345;
    receive_with_gate(log);
}

static void sink_end_in_progress(void **state)
{
    struct log *log = *state;

    log->end_waits = true;
    receive_with_gate(log);
}

/* ---- what can't be received from ------------------------------------------------------------ */

static int receive_error(struct log *log, int fd)
{
    int error = lb_receive_fd(fd, &log_sink, log, NULL);

    assert_int_equal(log->opens, 0);
    assert_int_equal(log->ends, 0);
    return error;
}

static void not_a_stream(void **state)
{
    const unsigned fds = process_count_fds();
    int pipe_ends[2], file, datagram;

    assert_int_equal(receive_error(*state, -1), -EBADF);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(receive_error(*state, pipe_ends[0]), -ENOTSOCK);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(receive_error(*state, file), -ENOTSOCK);
    close(file);
    datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(receive_error(*state, datagram) < 0);
    close(datagram);
    assert_int_equal(process_count_fds(), fds);
}

/* A stream socket, but of no connection: either refused, or a stream that ends at once; not eof. */
static void not_connected(void **state)
{
    enum lb_end end = LB_END_COUNT;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = lb_receive_fd(fd, &log_sink, *state, &end);

    assert_true(error < 0 || (error == 0 && end != LB_END_EOF && end != LB_END_COUNT));
    close(fd);
}

/* The peer sends little, and leaves its end open. */
static enum lb_end receive_limited(struct log *log, const struct lb_receive_options *options)
{
    enum lb_end end = LB_END_COUNT;
    int ends[2];

    make_tcp(ends);
    assert_int_equal(peer_send_payload(ends[1], 1, 0, 1000, 1000), 0);
    assert_int_equal(lb_receive_fd_with(ends[0], &log_sink, log, options, &end), 0);
    close(ends[0]);
    close(ends[1]);
    return log->end == end ? end : LB_END_COUNT;
}

static void ends_at_limits(void **state)
{
    static const struct {
        struct lb_receive_options options;
        enum lb_end end;
    } cases[] = {{{LB_RECEIVE_OPTIONS_INIT, .max_bytes = 999}, LB_END_LIMIT},
                 {{LB_RECEIVE_OPTIONS_INIT, .max_time_ms = 50}, LB_END_TIMEOUT},
                 {{LB_RECEIVE_OPTIONS_INIT, .idle_timeout_ms = 50}, LB_END_TIMEOUT}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++, ((struct log *)*state)->bytes = 0)
        assert_int_equal(receive_limited(*state, &cases[i].options), cases[i].end);
}

static void ends_when_cancelled(void **state)
{
    struct lb_receive_options options = {LB_RECEIVE_OPTIONS_INIT};
    struct gate gate;
    pthread_t thread;

    assert_int_equal(gate_init(&gate), 0);
    options.cancel_fd = gate.fd;
    assert_int_equal(pthread_create(&thread, NULL, open_later, &gate), 0);
    assert_int_equal(receive_limited(*state, &options), LB_END_STOPPED);
    pthread_join(thread, NULL);
    gate_done(&gate);
}

static void collects_no_more_than_it_may(void **state)
{
    const struct lb_receive_options few = {LB_RECEIVE_OPTIONS_INIT, .max_bytes = 10},
                                    brief = {LB_RECEIVE_OPTIONS_INIT, .max_time_ms = 50},
                                    closed = {LB_RECEIVE_OPTIONS_INIT, .cancel_fd = 1 << 20};
    size_t got = 0;
    void *data;
    int ends[2];

    (void)state;
    make_unix(ends);
    assert_int_equal(send(ends[1], "twenty bytes of text", 20, 0), 20);
    assert_int_equal(lb_collect_fd_with(ends[0], SIZE, &closed, &data, &got), -EBADF);
    assert_int_equal(lb_collect_fd_with(ends[0], SIZE, &few, &data, &got), -EDQUOT);
    assert_int_equal(lb_collect_fd_with(ends[0], SIZE, &brief, &data, &got), -ETIMEDOUT);
    close(ends[0]);
    close(ends[1]);
}

/* ---- lb_collect_fd -------------------------------------------------------------------------- */

static int collect(uint64_t size, size_t limit, void **data, size_t *got)
{
    const unsigned fds = process_count_fds();
    struct sender *sender;
    int ends[2], error;

    make_tcp(ends);
    assert_int_equal(sender_start(&sender, ends[1], 1, size, 30000), 0);
    error = lb_collect_fd(ends[0], limit, data, got);
    close(ends[0]);
    sender_join(sender); /* may see a reset if the limit was passed */
    assert_int_equal(process_count_fds(), fds);
    return error;
}

static void check_collected(uint64_t size, size_t limit)
{
    void *data = NULL;
    size_t got = SIZE_MAX;

    assert_int_equal(collect(size, limit, &data, &got), 0);
    assert_int_equal(got, size);
    assert_non_null(data);
    assert_true(XXH128_isEqual(XXH3_128bits(data, got), payload_digest(1, size)));
    assert_int_equal(((const char *)data)[size], '\0');
    free(data);
}

static void collects(void **state)
{
    (void)state;
    check_collected(0, 0);
    check_collected(0, 100);
    check_collected(1, 100);
    check_collected(4096, 1 << 20);
    check_collected(3000001, 1 << 30);
    check_collected(SIZE, SIZE_MAX);
}

static void collects_up_to_limit(void **state)
{
    void *data = NULL;
    size_t got = 0;

    (void)state;
    check_collected(SIZE, SIZE);
    assert_int_equal(collect(SIZE + 1, SIZE, &data, &got), -EMSGSIZE);
    assert_int_equal(collect(1, 0, &data, &got), -EMSGSIZE);
    assert_int_equal(collect(30 << 20, SIZE, &data, &got), -EMSGSIZE);
    assert_null(data);
}

static void collects_no_partial(void **state)
{
    void *data = NULL;
    size_t got = 0;
    int ends[2];

    (void)state;
    make_tcp(ends);
    assert_int_equal(peer_send_payload(ends[1], 1, 0, 1000, 1000), 0);
    assert_int_equal(peer_reset_behind(ends[1]), 0);
    assert_int_equal(lb_collect_fd(ends[0], SIZE, &data, &got), -ECONNRESET);
    assert_null(data);
    close(ends[0]);
    assert_int_equal(lb_collect_fd(-1, SIZE, &data, &got), -EBADF);
    assert_null(data);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, log_setup, log_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(receives_until_eof),
        CASE(receives_unix),
        CASE(receives_nothing),
        CASE(receives_nonblocking),
        CASE(leaves_flags_alone),
        CASE(receives_until_reset),
        CASE(receives_until_unix_reset),
        CASE(answers_afterwards),
        CASE(answers_after_failure),
        CASE(sink_refuses),
        CASE(sink_fails_end),
        CASE(sink_ends_slowly),
        CASE(sink_pauses),
        CASE(sink_end_in_progress),
        CASE(not_a_stream),
        CASE(not_connected),
        CASE(ends_at_limits),
        CASE(ends_when_cancelled),
        CASE(collects_no_more_than_it_may),
        CASE(collects),
        CASE(collects_up_to_limit),
        CASE(collects_no_partial),
    };

    return cmocka_run_group_tests_name("receive", tests, NULL, NULL) ? EXIT_FAILURE : EXIT_SUCCESS;
}
