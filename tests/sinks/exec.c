/* SPDX-License-Identifier: MIT */
/* exec: the command gets the whole stream or a kill, and its peer the whole answer. */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Runs one stream through the command. The caller frees the exchange. */
static enum lb_end run(struct exchange *exchange, const char *command)
{
    struct opened exec = sink_open(NULL, "exec:%s", command);
    enum lb_end end = exchange_run(exchange, &exec);

    sink_close(&exec);
    return end;
}

static void check_command(const char *command, const char *input, enum lb_end end,
                          const char *reply)
{
    struct exchange exchange = {.data = input, .size = strlen(input)};

    assert_int_equal(end, run(&exchange, command));
    assert_int_equal(strlen(reply), exchange.reply_size);
    assert_true(exchange.reply_size == 0 || memcmp(reply, exchange.reply, strlen(reply)) == 0);
    exchange_free(&exchange);
}

static void a_command_answers(void **state)
{
    (void)state;
    check_command("tr a-z A-Z", "hello, world!", LB_END_EOF, "HELLO, WORLD!");
    check_command("cat >&2", "", LB_END_EOF, "");
    check_command("true", "", LB_END_EOF, "");
    check_command("wc -c | tr -d ' '", "12345", LB_END_EOF, "5\n");
}

static void a_large_answer_comes_whole(void **state)
{
    size_t size = scale_count(8, 1) * MIB + 3;
    uint8_t *payload = payload_make(4, size);
    struct exchange exchange = {.data = payload, .size = size};

    (void)state;
    assert_int_equal(LB_END_EOF, run(&exchange, "cat"));
    assert_int_equal(0, exchange.result);
    assert_int_equal(size, exchange.reply_size);
    assert_true(memcmp(payload, exchange.reply, size) == 0);
    exchange_free(&exchange);
    free(payload);
}

static void an_answer_after_eof_comes_whole(void **state)
{
    enum { SIZE = 5000000 };
    struct exchange exchange = {.data = "x", .size = 1};
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "cat; head -c %d /dev/zero", SIZE);
    assert_int_equal(LB_END_EOF, run(&exchange, command));
    assert_int_equal(0, exchange.result);
    assert_int_equal(SIZE + 1, exchange.reply_size);
    assert_int_equal('x', exchange.reply[0]);
    for (size_t i = 1; i <= SIZE; i++)
        if (exchange.reply[i] != 0)
            fail_msg("byte %zu is not what the command wrote", i);
    exchange_free(&exchange);
}

static void a_slow_peer_is_waited_for(void **state)
{
    enum { SIZE = 20000000 };
    struct exchange exchange = {.late = true};
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "cat; head -c %d /dev/zero", SIZE);
    assert_int_equal(LB_END_EOF, run(&exchange, command));
    assert_int_equal(0, exchange.result);
    assert_int_equal(SIZE, exchange.reply_size);
    exchange_free(&exchange);
}

static void more_output_than_may_wait_ends_as_sink(void **state)
{
    enum { MAX = 100000 };
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .spool_max = MAX};
    struct opened exec = sink_open(&options, "exec:%s", "cat");
    uint8_t *payload = payload_make(5, 4 * MIB);
    struct exchange exchange = {.data = payload, .size = 4 * MIB};

    (void)state;
    assert_int_equal(LB_END_SINK, exchange_run(&exchange, &exec));
    exchange_free(&exchange);
    exchange = (struct exchange){.data = payload, .size = MAX};
    assert_int_equal(LB_END_EOF, exchange_run(&exchange, &exec));
    assert_int_equal(MAX, exchange.reply_size);
    exchange_free(&exchange);
    free(payload);
    sink_close(&exec);
}

static void the_exit_status_is_the_streams(void **state)
{
    (void)state;
    check_command("cat; exit 3", "x", LB_END_SINK, "x");
    check_command("cat; kill -KILL $$", "x", LB_END_SINK, "x");
    check_command("exit 1", "", LB_END_SINK, "");
    check_command("/no/such/command 2>&1 >/dev/null | true; exit 127", "", LB_END_SINK, "");
}

/* The command knows how much it needs: what it leaves unread is dropped, and its status decides. */
static void a_command_need_not_read_it_all(void **state)
{
    uint8_t *payload = payload_make(1, MIB);
    struct exchange exchange = {.data = payload, .size = MIB};

    (void)state;
    check_command("true", "x", LB_END_EOF, "");
    check_command("false", "x", LB_END_SINK, "");
    check_command("head -c 4", "12345", LB_END_EOF, "1234");
    assert_int_equal(LB_END_EOF, run(&exchange, "exec <&-; true"));
    exchange_free(&exchange);
    exchange = (struct exchange){.data = payload, .size = MIB};
    assert_int_equal(LB_END_SINK, run(&exchange, "head -c 10; exit 2"));
    exchange_free(&exchange);
    free(payload);
}

static void the_environment_names_the_peer(void **state)
{
    struct exchange exchange = {.data = "", .size = 0};
    char wanted[200];

    (void)state;
    assert_return_code(setenv("LASTBYTE_PEER", "of somebody else", 1), errno);
    assert_return_code(setenv("LASTBYTE_TEST", "inherited", 1), errno);
    assert_int_equal(LB_END_EOF,
                     run(&exchange, "echo $LASTBYTE_PEER $LASTBYTE_STREAM $LASTBYTE_TEST; "
                                    "env | grep -c ^LASTBYTE_PEER="));
    unsetenv("LASTBYTE_PEER");
    unsetenv("LASTBYTE_TEST");
    snprintf(wanted, sizeof(wanted), "%s 1 inherited\n1\n", exchange.peer);
    assert_int_equal(strlen(wanted), exchange.reply_size);
    assert_memory_equal(wanted, exchange.reply, strlen(wanted));
    exchange_free(&exchange);
}

static void the_command_inherits_nothing_of_ours(void **state)
{
    int inheritable = dup(STDERR_FILENO);

    (void)state;
    assert_return_code(inheritable, errno);
    /* 0, 1 and 2, where it can ask how the stream ended, and the directory that is listed. */
    check_command("ls /proc/self/fd | wc -l | tr -d ' '", "", LB_END_EOF, "5\n");
    close(inheritable);
    /* Signals 13 and 25, SIGPIPE and SIGXFSZ, are ignored here. */
    check_command("echo $((0x$(sed -n 's/SigIgn:.//p' /proc/self/status) & 0x1001000))", "",
                  LB_END_EOF, "0\n");
    check_command("sed -n 's/SigBlk:.//p' /proc/self/status", "", LB_END_EOF, "0000000000000000\n");
}

static int await_argument(struct exchange *exchange)
{
    char byte;
    int rc = await_file(exchange->argument);

    /* Nothing may be sent to a peer that still sends. */
    if (rc == 0 && recv(exchange->fd, &byte, 1, MSG_DONTWAIT) != -1)
        rc = -EPROTO;
    return rc;
}

static void output_is_drained_and_kept_until_eof(void **state)
{
    enum { SIZE = 300000 };
    const char *path = path_in(*state, "written");
    struct exchange exchange = {
        .data = "x", .size = 1, .before_end = await_argument, .argument = path};
    char command[600];

    snprintf(command, sizeof(command), "head -c %d /dev/zero; >'%s'; cat", SIZE, path);
    assert_int_equal(LB_END_EOF, run(&exchange, command));
    assert_int_equal(0, exchange.result);
    assert_int_equal(SIZE + 1, exchange.reply_size);
    for (size_t i = 0; i < SIZE; i++)
        if (exchange.reply[i] != 0)
            fail_msg("byte %zu is not what the command wrote", i);
    assert_int_equal('x', exchange.reply[SIZE]);
    exchange_free(&exchange);
}

static void a_peer_that_leaves_loses_the_answer_alone(void **state)
{
    size_t size = MIB;
    uint8_t *payload = payload_make(4, size);
    struct exchange exchange = {.data = payload, .size = size, .deaf = true};

    (void)state;
    assert_int_equal(LB_END_EOF, run(&exchange, "cat; cat /dev/zero | head -c 8000000"));
    exchange_free(&exchange);
    free(payload);
}

static void a_stream_that_breaks_kills_the_command(void **state)
{
    const struct fixture *fixture = *state;
    const char *started = path_in(fixture, "started");
    const char *complete = path_in(fixture, "complete");
    struct exchange exchange = {.data = "half",
                                .size = 4,
                                .before_end = await_argument,
                                .argument = started,
                                .reset = true};
    char command[1000];
    FILE *file;
    int pid = 0;

    snprintf(command, sizeof(command),
             "echo $$ >'%s.new'; mv '%s.new' '%s'; cat; >'%s'; exec sleep 1000", started, started,
             started, complete);
    assert_int_equal(LB_END_RESET, run(&exchange, command));
    assert_int_equal(0, exchange.result);
    file = fopen(started, "re");
    assert_non_null(file);
    assert_int_equal(1, fscanf(file, "%d", &pid));
    fclose(file);
    assert_true(pid > 1 && kill(pid, 0) == -1);
    assert_false(file_exists(complete));
    exchange_free(&exchange);
}

static void what_the_command_leaves_behind_is_not_waited_for(void **state)
{
    const char *path = path_in(*state, "pid");
    struct exchange exchange = {.data = "x", .size = 1};
    char command[600];
    FILE *file;
    int pid = 0;

    snprintf(command, sizeof(command), "sleep 1000 & echo $! >'%s'; cat", path);
    assert_int_equal(LB_END_EOF, run(&exchange, command));
    assert_int_equal(1, exchange.reply_size);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(1, fscanf(file, "%d", &pid));
    fclose(file);
    assert_true(pid > 1);
    assert_return_code(kill(pid, SIGKILL), errno);
    exchange_free(&exchange);
}

static void output_without_a_disk_ends_as_sink(void **state)
{
    uint8_t *payload = payload_make(1, MIB);
    struct exchange exchange = {.data = payload, .size = MIB};
    struct opened exec = sink_open(NULL, "exec:cat");

    (void)state;
    limit_files(100000);
    assert_int_equal(LB_END_SINK, exchange_run(&exchange, &exec));
    unlimit_files();
    sink_close(&exec);
    exchange_free(&exchange);
    free(payload);
}

static void an_answer_without_a_disk_ends_as_sink(void **state)
{
    struct exchange exchange = {.after_end = true};
    struct opened exec = sink_open(NULL, "exec:cat; cat /dev/zero");

    (void)state;
    limit_files(10);
    assert_int_equal(LB_END_SINK, exchange_run(&exchange, &exec));
    unlimit_files();
    sink_close(&exec);
    exchange_free(&exchange);
}

static void few_descriptors_are_survived(void **state)
{
    enum { ENOUGH = 24 };
    unsigned ends[LB_END_COUNT + 1] = {0};

    (void)state;
    for (unsigned left = 1; left <= ENOUGH; left++) {
        struct exchange exchange = {.data = "x", .size = 1, .fds_left = left};
        enum lb_end end = run(&exchange, "cat");

        if (end == LB_END_EOF)
            assert_int_equal(1, exchange.reply_size);
        ends[end]++;
        exchange_free(&exchange);
    }
    assert_true(ends[LB_END_COUNT] > 0 && ends[LB_END_SINK] > 0 && ends[LB_END_EOF] > 0);
    assert_int_equal(ENOUGH, ends[LB_END_COUNT] + ends[LB_END_SINK] + ends[LB_END_EOF]);
}

static void an_ignored_sigchld_loses_no_status(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    check_command("exit 3", "", LB_END_SINK, "");
    check_command("cat", "x", LB_END_EOF, "x");
    signal(SIGCHLD, SIG_DFL);
}

/* Starts an engine whose one stream has ended for its peer, and whose command goes on. */
static struct lb_engine *begin_endless(const struct opened *exec, int *peer)
{
    struct lb_engine *engine;
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};

    lb_config_init(&config);
    config.listen = (const char *const[]){"127.0.0.1:0", NULL};
    config.sink = exec->sink;
    config.sink_context = exec->context;
    if (lb_engine_open(&engine, &config, &error) < 0)
        fail_msg("%s", error.text);
    assert_int_equal(0, lb_engine_start(engine));
    *peer = peer_connect(lb_engine_address(engine, 0));
    assert_return_code(*peer, -*peer);
    assert_return_code(shutdown(*peer, SHUT_WR), errno);
    return engine;
}

static void a_second_stop_kills_the_command(void **state)
{
    const char *path = path_in(*state, "started");
    struct opened exec = sink_open(NULL, "exec:cat; >'%s'; exec sleep 1000", path);
    struct lb_stats stats = {LB_STATS_INIT};
    int peer;
    struct lb_engine *engine = begin_endless(&exec, &peer);

    assert_int_equal(0, await_file(path));
    lb_engine_stop(engine);
    lb_engine_stop(engine);
    assert_int_equal(0, lb_engine_wait(engine, patience_ms()));
    lb_engine_stats(engine, &stats);
    assert_int_equal(1, stats.ends[LB_END_STOPPED]);
    assert_int_equal(1, stats.streams);
    lb_engine_close(engine);
    sink_close(&exec);
    close(peer);
}

const struct CMUnitTest exec_tests[] = {
    FIXTURE_TEST(a_command_answers),
    FIXTURE_TEST(a_large_answer_comes_whole),
    FIXTURE_TEST(an_answer_after_eof_comes_whole),
    FIXTURE_TEST(a_slow_peer_is_waited_for),
    FIXTURE_TEST(more_output_than_may_wait_ends_as_sink),
    FIXTURE_TEST(the_exit_status_is_the_streams),
    FIXTURE_TEST(a_command_need_not_read_it_all),
    FIXTURE_TEST(the_environment_names_the_peer),
    FIXTURE_TEST(the_command_inherits_nothing_of_ours),
    FIXTURE_TEST(output_is_drained_and_kept_until_eof),
    FIXTURE_TEST(a_peer_that_leaves_loses_the_answer_alone),
    FIXTURE_TEST(a_stream_that_breaks_kills_the_command),
    FIXTURE_TEST(what_the_command_leaves_behind_is_not_waited_for),
    FIXTURE_TEST(output_without_a_disk_ends_as_sink),
    FIXTURE_TEST(an_answer_without_a_disk_ends_as_sink),
    FIXTURE_TEST(few_descriptors_are_survived),
    FIXTURE_TEST(an_ignored_sigchld_loses_no_status),
    FIXTURE_TEST(a_second_stop_kills_the_command),
};
const size_t exec_test_count = sizeof(exec_tests) / sizeof(exec_tests[0]);
