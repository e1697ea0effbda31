/* SPDX-License-Identifier: MIT */
/* exec: no process of a command, whatever it did to get away, sees its input end unless the stream
 * was whole. */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A reader says who it is, and would publish what it takes for the whole. %s: how it is run. */
static const char *const ways_out[] = {
    "%s",
    "timeout 1000 %s",                   /* a process group of its own */
    "setsid %s",                         /* a session, and its leader exits at once */
    "setsid sh -c 'setsid %s; :'; exit", /* deeper */
    "exec 4<&0; { %s; } <&4 & exit",     /* the command has exited, a child reads */
    "exec 4<&0; { %s; } <&4 & exit 3",
    "env -i setsid %s", /* without what tells whose it is */
    "trap '' TERM HUP INT; %s",
    "exec 4<&0 <&-; %s <&4", /* by another descriptor */
};
enum { WAYS_OUT = sizeof(ways_out) / sizeof(ways_out[0]) };

struct reader {
    char script[400]; /* a file */
    char pid[400];    /* a file that has its number, once it reads */
    char published[400];
    char command[1200];
};

static void make_reader(struct reader *reader, const struct fixture *fixture, const char *way)
{
    char text[2200], run[600];

    snprintf(reader->script, sizeof(reader->script), "%s", path_in(fixture, "reader"));
    snprintf(reader->pid, sizeof(reader->pid), "%s", path_in(fixture, "pid"));
    snprintf(reader->published, sizeof(reader->published), "%s", path_in(fixture, "published"));
    snprintf(text, sizeof(text), "echo $$ >'%s.new'\n/bin/mv '%s.new' '%s'\n/bin/cat\n>'%s'\n",
             reader->pid, reader->pid, reader->pid, reader->published);
    file_write(reader->script, text, strlen(text));
    snprintf(run, sizeof(run), "/bin/sh %s", reader->script);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(reader->command, sizeof(reader->command), way, run);
#pragma GCC diagnostic pop
}

static pid_t read_pid(const char *path)
{
    FILE *file = fopen(path, "re");
    int pid = 0;

    assert_non_null(file);
    assert_int_equal(1, fscanf(file, "%d", &pid));
    fclose(file);
    assert_true(pid > 1);
    return pid;
}

static void expect_dead(pid_t pid)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    while (kill(pid, 0) == 0) {
        if (time_now_ns() > deadline)
            fail_msg("process %d is still there", pid);
        time_nap();
    }
}

static void remove_traces(const struct reader *reader)
{
    unlink(reader->script);
    unlink(reader->pid);
    unlink(reader->published);
}

static int await_argument(struct exchange *exchange)
{
    return await_file(exchange->argument);
}

static void run_way(const struct fixture *fixture, const char *way, bool reset)
{
    struct reader reader;
    struct exchange exchange = {.data = "half",
                                .size = 4,
                                .before_end = await_argument,
                                .argument = reader.pid,
                                .reset = reset};
    struct opened exec;

    make_reader(&reader, fixture, way);
    exec = sink_open(NULL, "exec:%s", reader.command);
    exchange_run(&exchange, &exec);
    assert_int_equal(0, exchange.result);
    if (reset)
        assert_int_equal(LB_END_RESET, exchange.end);
    else
        assert_int_equal(0, await_file(reader.published));
    expect_dead(read_pid(reader.pid));
    if (reset && file_exists(reader.published))
        fail_msg("%s: published a part", way);
    exchange_free(&exchange);
    sink_close(&exec);
    remove_traces(&reader);
}

static void no_part_ends_an_input(void **state)
{
    for (int i = 0; i < WAYS_OUT; i++)
        run_way(*state, ways_out[i], true);
}

/* The same readers, so that the test above is one of what they would do. */
static void the_whole_ends_every_input(void **state)
{
    for (int i = 0; i < WAYS_OUT; i++)
        run_way(*state, ways_out[i], false);
}

/* Closing the sink is not the end of what it holds. */
static void a_closed_sink_ends_no_input(void **state)
{
    struct reader reader;
    struct exchange exchange = {.data = "half",
                                .size = 4,
                                .before_end = await_argument,
                                .argument = reader.pid,
                                .reset = true};
    struct opened exec;

    make_reader(&reader, *state, "env -i setsid %s");
    exec = sink_open(NULL, "exec:%s", reader.command);
    assert_int_equal(LB_END_RESET, exchange_run(&exchange, &exec));
    sink_close(&exec);
    expect_dead(read_pid(reader.pid));
    assert_false(file_exists(reader.published));
    exchange_free(&exchange);
    remove_traces(&reader);
}

static void expect_answer(const struct opened *exec, const char *input, enum lb_end end,
                          const char *answer)
{
    struct exchange exchange = {.data = input, .size = strlen(input)};

    assert_int_equal(end, exchange_run(&exchange, exec));
    assert_int_equal(strlen(answer), exchange.reply_size);
    assert_memory_equal(answer, exchange.reply, strlen(answer));
    exchange_free(&exchange);
}

static void a_command_can_ask_whether_it_was_whole(void **state)
{
    struct opened exec =
        sink_open(NULL, "exec:cat; read -r word <&\"$LASTBYTE_END_FD\" && echo \" $word\"; "
                        "cat <&\"$LASTBYTE_END_FD\"");

    (void)state;
    expect_answer(&exec, "all of it", LB_END_EOF, "all of it eof\n");
    sink_close(&exec);
    /* It need not be asked. */
    exec = sink_open(NULL, "exec:exec 3<&-; cat");
    expect_answer(&exec, "x", LB_END_EOF, "x");
    sink_close(&exec);
}

/* Who asks before the end has to wait for it. */
static void nobody_is_told_that_a_part_is_whole(void **state)
{
    char told[500], asking[500];
    struct exchange exchange = {
        .data = "half", .size = 4, .before_end = await_argument, .argument = asking, .reset = true};
    struct opened exec;

    snprintf(told, sizeof(told), "%s", path_in(*state, "told"));
    snprintf(asking, sizeof(asking), "%s", path_in(*state, "asking"));
    exec =
        sink_open(NULL, "exec:>'%s'; read -r word <&\"$LASTBYTE_END_FD\" && >'%s'", asking, told);
    assert_int_equal(LB_END_RESET, exchange_run(&exchange, &exec));
    assert_false(file_exists(told));
    exchange_free(&exchange);
    sink_close(&exec);
}

static void output_that_nobody_hears_ends_no_command(void **state)
{
    const char *done = path_in(*state, "done");
    struct exchange exchange = {.data = "x", .size = 1, .deaf = true};
    struct opened exec = sink_open(NULL, "exec:cat; head -c 30000000 /dev/zero && >'%s'", done);

    assert_int_equal(LB_END_EOF, exchange_run(&exchange, &exec));
    assert_true(file_exists(done));
    exchange_free(&exchange);
    sink_close(&exec);
}

static void endless_output_that_nobody_hears_finds_its_pipe_closed(void **state)
{
    char status[500];
    struct exchange exchange = {.data = "x", .size = 1, .deaf = true};
    struct opened exec;

    snprintf(status, sizeof(status), "%s", path_in(*state, "status"));
    exec = sink_open(NULL, "exec:cat; cat /dev/zero; echo $? >'%s'", status);
    assert_int_equal(LB_END_EOF, exchange_run(&exchange, &exec));
    expect_file(status, "141\n", 4); /* 128 + SIGPIPE */
    exchange_free(&exchange);
    sink_close(&exec);
}

static void commands_keep_the_limit_of_the_start(void **state)
{
    struct rlimit usual, low;
    struct opened exec;

    (void)state;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &usual), errno);
    low = (struct rlimit){.rlim_cur = 77, .rlim_max = usual.rlim_max};
    assert_return_code(setrlimit(RLIMIT_NOFILE, &low), errno);
    exec = sink_open(NULL, "exec:ulimit -n");
    assert_return_code(setrlimit(RLIMIT_NOFILE, &usual), errno);
    expect_answer(&exec, "", LB_END_EOF, "77\n");
    sink_close(&exec);
}

/* Rights that were given up are given up for the commands, too; and none runs with others. */
static void commands_follow_the_user(void **state)
{
    struct opened exec;
    struct lb_error error = {LB_ERROR_INIT};
    pid_t pid;
    int status;

    (void)state;
    if (getuid() != 0)
        skip();
    pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        exec = sink_open(NULL, "exec:id -u");
        if (setresuid(65534, 65534, 65534) < 0)
            _exit(1);
        expect_answer(&exec, "", LB_END_SINK, "");
        if (exec.sink->check(exec.context, &error) < 0)
            _exit(2);
        expect_answer(&exec, "", LB_END_EOF, "65534\n");
        sink_close(&exec);
        _exit(0);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(0, status);
}

const struct CMUnitTest guardian_tests[] = {
    FIXTURE_TEST(no_part_ends_an_input),
    FIXTURE_TEST(the_whole_ends_every_input),
    FIXTURE_TEST(a_closed_sink_ends_no_input),
    FIXTURE_TEST(a_command_can_ask_whether_it_was_whole),
    FIXTURE_TEST(nobody_is_told_that_a_part_is_whole),
    FIXTURE_TEST(output_that_nobody_hears_ends_no_command),
    FIXTURE_TEST(endless_output_that_nobody_hears_finds_its_pipe_closed),
    FIXTURE_TEST(commands_keep_the_limit_of_the_start),
    FIXTURE_TEST(commands_follow_the_user),
};
const size_t guardian_test_count = sizeof(guardian_tests) / sizeof(guardian_tests[0]);
