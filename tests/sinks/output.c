/* SPDX-License-Identifier: MIT */
/* The specification; print, stdout and hash: what writes to a descriptor. */
#include "fixture.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void specifications_are_checked(void **state)
{
    const char *const all[] = {"print",     "stdout",   "discard",      "hash[:ALGO]",
                               "file:PATH", "dir:PATH", "exec:COMMAND", NULL};

    (void)state;
    expect_refused(NULL, -EINVAL, "", all);
    expect_refused(NULL, -EINVAL, "prin", all);
    expect_refused(NULL, -EINVAL, "printer:x", all);
    expect_refused(NULL, -EINVAL, "print:", (const char *[]){"print:", "nothing", NULL});
    expect_refused(NULL, -EINVAL, "discard:x", (const char *[]){"discard:x", "nothing", NULL});
    expect_refused(NULL, -EINVAL, "hash:", (const char *[]){"hash:ALGO", NULL});
    expect_refused(NULL, -EINVAL, "hash:md6", (const char *[]){"hash:md6", "xxh3", "sha256", NULL});
    expect_refused(NULL, -EINVAL, "file", (const char *[]){"file:PATH", NULL});
    expect_refused(NULL, -EINVAL, "file:", (const char *[]){"file:PATH", NULL});
    expect_refused(NULL, -EINVAL, "dir:", (const char *[]){"dir:PATH", NULL});
    expect_refused(NULL, -EINVAL, "exec:", (const char *[]){"exec:COMMAND", NULL});
}

static void every_sink_is_described(void **state)
{
    const char *const names[] = {"print", "stdout", "discard", "hash", "file", "dir", "exec"};
    const char *const arguments[] = {NULL, NULL, NULL, "ALGO", "PATH", "PATH", "COMMAND"};
    struct lb_description description = {LB_DESCRIPTION_INIT};

    (void)state;
    for (size_t i = 0; i < 7; i++) {
        assert_true(lb_sink_describe(i, &description));
        assert_string_equal(names[i], description.name);
        if (arguments[i])
            assert_string_equal(arguments[i], description.argument);
        else
            assert_null(description.argument);
        assert_int_equal(i == 3, description.argument_optional);
        assert_non_null(description.help);
    }
    assert_false(lb_sink_describe(7, &description));
    lb_sink_close(NULL, NULL);
}

static void options_of_other_sinks_are_refused(void **state)
{
    const struct {
        const char *sink;
        struct lb_sink_options options;
        const char *words[4];
    } cases[] = {
        {"print",
         {LB_SINK_OPTIONS_INIT, .append = true},
         {"print", "--append", "use file:PATH", NULL}},
        {"dir:/tmp",
         {LB_SINK_OPTIONS_INIT, .append = true},
         {"dir:/tmp", "--append", "use file:PATH", NULL}},
        {"hash",
         {LB_SINK_OPTIONS_INIT, .direct = true},
         {"hash", "--direct", "use file:PATH or dir:PATH", NULL}},
        {"exec:cat",
         {LB_SINK_OPTIONS_INIT, .no_fsync = true},
         {"exec", "--no-fsync", "use file:PATH or dir:PATH", NULL}},
        {"discard",
         {LB_SINK_OPTIONS_INIT, .spool_max = 1},
         {"discard", "--spool-max", "use exec:COMMAND", NULL}},
        {"hash",
         {LB_SINK_OPTIONS_INIT, .spool_total = 1},
         {"--spool-total", "use print or exec:COMMAND", NULL}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(&cases[i].options, -EINVAL, cases[i].sink, cases[i].words);
}

static void the_output_must_be_writable(void **state)
{
    const char *const sinks[] = {"print", "stdout", "hash", NULL};
    int ends[2];

    (void)state;
    assert_return_code(pipe2(ends, O_CLOEXEC), errno);
    for (const char *const *sink = sinks; *sink; sink++) {
        expect_refused(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = ends[0]},
                       -EBADF, *sink, (const char *[]){*sink, "reading only", NULL});
        expect_refused(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = 1000000},
                       -EBADF, *sink, (const char *[]){*sink, "1000000", NULL});
    }
    close(ends[0]);
    close(ends[1]);
}

static void check_print(size_t size)
{
    int output = output_make();
    struct opened print =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "print");
    uint8_t *payload = payload_make(size, size);

    assert_int_equal(LB_END_EOF, send_bytes(&print, payload, size));
    sink_close(&print);
    expect_output(output, payload, size);
    free(payload);
}

static void print_writes_every_byte(void **state)
{
    (void)state;
    check_print(0);
    check_print(1);
    check_print(MIB - 1);
    check_print(MIB);
    check_print(MIB + 1);
    check_print(3 * MIB + 7);
}

static void print_keeps_streams_apart(void **state)
{
    int output = output_make();
    struct opened print =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "print");

    (void)state;
    assert_int_equal(LB_END_EOF, send_bytes(&print, "hello", 5));
    assert_int_equal(LB_END_RESET, send_bytes_and_reset(&print, "lost", 4));
    assert_int_equal(LB_END_EOF, send_bytes(&print, ", world!", 8));
    sink_close(&print);
    expect_output(output, "hello, world!", 13);
}

static void print_hides_what_is_not_complete(void **state)
{
    int output = output_make();
    struct opened print =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "print");
    uint8_t *payload = payload_make(1, 2 * MIB);

    (void)state;
    assert_int_equal(LB_END_RESET, send_bytes_and_reset(&print, payload, 2 * MIB));
    sink_close(&print);
    expect_output(output, NULL, 0);
    free(payload);
}

static void print_without_a_disk_ends_as_sink(void **state)
{
    int output = output_make();
    struct opened print =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "print");
    uint8_t *payload = payload_make(1, 2 * MIB);

    (void)state;
    limit_files(64 * KIB);
    assert_int_equal(LB_END_SINK, send_bytes(&print, payload, 2 * MIB));
    unlimit_files();
    sink_close(&print);
    expect_output(output, NULL, 0);
    free(payload);
}

/* Makes TMPDIR another. Returns what it was, for temporary_restore. */
static char *temporary_set(const char *path)
{
    const char *usual = getenv("TMPDIR");
    char *saved = usual ? strdup(usual) : NULL;

    assert_return_code(setenv("TMPDIR", path, 1), errno);
    return saved;
}

static void temporary_restore(char *saved)
{
    if (saved)
        setenv("TMPDIR", saved, 1);
    else
        unsetenv("TMPDIR");
    free(saved);
}

static void the_directory_for_temporary_files_is_tried_at_the_start(void **state)
{
    const char *none = path_in(*state, "none");
    char *saved = temporary_set(none);

    expect_refused(NULL, -ENOENT, "print", (const char *[]){"print", "TMPDIR", none, NULL});
    expect_refused(NULL, -ENOENT, "exec:cat", (const char *[]){"exec", "TMPDIR", none, NULL});
    temporary_restore(saved);
}

static void print_after_the_directory_for_temporary_files_has_gone(void **state)
{
    const char *path = path_in(*state, "temporary");
    uint8_t *payload = payload_make(1, 2 * MIB + 4);
    int output = output_make();
    char *saved = temporary_set(path);
    struct opened print;

    assert_return_code(mkdir(path, 0700), errno);
    print =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "print");
    temporary_restore(saved);
    assert_int_equal(LB_END_EOF, send_bytes(&print, payload, 2 * MIB));
    assert_return_code(rmdir(path), errno);
    assert_int_equal(LB_END_SINK, send_bytes(&print, payload, 2 * MIB));
    assert_int_equal(LB_END_EOF, send_bytes(&print, payload + 2 * MIB, 4));
    sink_close(&print);
    expect_output(output, payload, 2 * MIB + 4);
    free(payload);
}

static void one_stream_may_have_the_whole_spool(void **state)
{
    enum { TOTAL = 4 * MIB };
    int output = output_make();
    struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .output_fd = output,
                                      .spool_total = TOTAL};
    struct opened print = sink_open(&options, "print");
    uint8_t *payload = payload_make(1, TOTAL + 1);

    (void)state;
    assert_int_equal(LB_END_EOF, send_bytes(&print, payload, TOTAL));
    assert_int_equal(LB_END_LIMIT, send_bytes(&print, payload, TOTAL + 1));
    /* What a stream has had is given back. */
    assert_int_equal(LB_END_RESET, send_bytes_and_reset(&print, payload, TOTAL));
    assert_int_equal(LB_END_EOF, send_bytes(&print, "", 0));
    sink_close(&print);
    expect_output(output, payload, TOTAL);
    free(payload);
}

/* Reads a pipe to its end, from when it is full, or at once. */
struct reader {
    pthread_t thread;
    int fd;
    int output; /* the other end, borrowed */
    bool wait_full;
    bool was_full;
    uint8_t *data;
    size_t size;
    size_t expected;
};

static void *run_reader(void *argument)
{
    struct reader *reader = argument;
    ssize_t got;

    if (reader->wait_full)
        reader->was_full = await_full(reader->output) == 0;
    do {
        size_t room = reader->expected + 1 - reader->size;

        got = read(reader->fd, reader->data + reader->size, room < 5000 ? room : 5000);
        if (got > 0)
            reader->size += (size_t)got;
    } while (got > 0);
    return NULL;
}

/* A pipe and its reader. Returns the end to write to. */
static int reader_start(struct reader *reader, size_t expected, bool wait_full)
{
    int ends[2];

    assert_return_code(pipe2(ends, O_CLOEXEC), errno);
    *reader = (struct reader){
        .fd = ends[0], .output = ends[1], .wait_full = wait_full, .expected = expected};
    reader->data = malloc(expected + 1);
    assert_non_null(reader->data);
    assert_int_equal(0, pthread_create(&reader->thread, NULL, run_reader, reader));
    return ends[1];
}

static void reader_expect(struct reader *reader, const uint8_t *payload)
{
    assert_int_equal(0, pthread_join(reader->thread, NULL));
    assert_int_equal(reader->wait_full, reader->was_full);
    assert_int_equal(reader->expected, reader->size);
    assert_true(memcmp(reader->data, payload, reader->size) == 0);
    free(reader->data);
    close(reader->fd);
}

static void print_waits_for_a_pipe(void **state)
{
    struct reader reader;
    int output = reader_start(&reader, 2 * MIB, false);
    struct opened print =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "print");
    uint8_t *payload = payload_make(5, 2 * MIB);

    (void)state;
    assert_return_code(fcntl(output, F_SETFL, O_NONBLOCK), errno);
    assert_int_equal(LB_END_EOF, send_bytes(&print, payload, 2 * MIB));
    sink_close(&print);
    close(output);
    reader_expect(&reader, payload);
    free(payload);
}

static void count_lost(void *context)
{
    ++*(unsigned *)context;
}

static void a_reader_that_left_ends_as_sink(void **state)
{
    const char *const sinks[] = {"print", "stdout", "hash", NULL};
    int ends[2];

    (void)state;
    assert_return_code(pipe2(ends, O_CLOEXEC), errno);
    close(ends[0]);
    for (const char *const *sink = sinks; *sink; sink++) {
        unsigned lost = 0;
        const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .output_fd = ends[1],
                                                .output_lost = count_lost, .note_context = &lost};
        struct opened opened = sink_open(&options, "%s", *sink);

        assert_int_equal(LB_END_SINK, send_bytes(&opened, "x", 1));
        assert_int_equal(1, lost);
        sink_close(&opened);
    }
    close(ends[1]);
}

/* The library promises that its writes to a socket raise no SIGPIPE. */
static void a_socket_that_left_raises_no_signal(void **state)
{
    const char *const sinks[] = {"print", "stdout", "hash", NULL};
    int ends[2];

    (void)state;
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
    close(ends[0]);
    signal(SIGPIPE, SIG_DFL);
    for (const char *const *sink = sinks; *sink; sink++) {
        struct opened opened = sink_open(
            &(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = ends[1]}, "%s", *sink);

        assert_int_equal(LB_END_SINK, send_bytes(&opened, "x", 1));
        sink_close(&opened);
    }
    signal(SIGPIPE, SIG_IGN);
    close(ends[1]);
}

static void check_stdout_waits(size_t size, bool may_reopen)
{
    uint8_t *payload = payload_make(6, size);
    struct opened opened;
    struct reader reader;
    int output = reader_start(&reader, size, true);

    if (!may_reopen)
        limit_fds(0);
    opened =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "stdout");
    if (!may_reopen)
        unlimit_fds();
    assert_int_equal(LB_END_EOF, send_bytes(&opened, payload, size));
    /* Others share the open file description, and know nothing of non-blocking writes. */
    assert_int_equal(0, fcntl(output, F_GETFL) & O_NONBLOCK);
    sink_close(&opened);
    close(output);
    reader_expect(&reader, payload);
    free(payload);
}

static void stdout_waits_for_a_pipe(void **state)
{
    (void)state;
    check_stdout_waits(scale_count(8, 1) * MIB, true);
}

/* No descriptor is left, so that the pipe can't be reopened for non-blocking writes. */
static void stdout_waits_for_a_pipe_that_blocks(void **state)
{
    (void)state;
    check_stdout_waits(MIB, false);
}

static void stdout_writes_files_and_sockets(void **state)
{
    enum { SIZE = 50000 };
    uint8_t *payload = payload_make(7, SIZE);
    uint8_t *received = malloc(SIZE);
    int output = output_make();
    struct opened opened =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "stdout");
    int ends[2];

    (void)state;
    assert_int_equal(LB_END_EOF, send_bytes(&opened, payload, SIZE));
    sink_close(&opened);
    expect_output(output, payload, SIZE);

    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
    opened =
        sink_open(&(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = ends[0]}, "stdout");
    assert_int_equal(LB_END_EOF, send_bytes(&opened, payload, SIZE));
    sink_close(&opened);
    assert_int_equal(0, peer_receive(ends[1], received, SIZE));
    assert_true(memcmp(payload, received, SIZE) == 0);
    close(ends[0]);
    close(ends[1]);
    free(received);
    free(payload);
}

static void digest_xxh3(const uint8_t *data, size_t size, char *hex)
{
    XXH128_hash_t digest = XXH3_128bits(data, size);

    sprintf(hex, "%016llx%016llx", (unsigned long long)digest.high64,
            (unsigned long long)digest.low64);
}

static void digest_sha256(const uint8_t *data, size_t size, char *hex)
{
    uint8_t digest[32];

    assert_int_equal(1, EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL));
    for (size_t i = 0; i < sizeof(digest); i++)
        sprintf(hex + 2 * i, "%02x", digest[i]);
}

static void check_hash(const char *specification,
                       void (*reference)(const uint8_t *data, size_t size, char *hex), size_t size,
                       bool reset)
{
    int output = output_make();
    struct opened hash = sink_open(
        &(struct lb_sink_options){LB_SINK_OPTIONS_INIT, .output_fd = output}, "%s", specification);
    uint8_t *payload = payload_make(size, size);
    struct exchange exchange = {.data = payload, .size = size, .reset = reset};
    char line[300];
    char hex[65];

    assert_int_equal(reset ? LB_END_RESET : LB_END_EOF, exchange_run(&exchange, &hash));
    sink_close(&hash);
    reference(payload, size, hex);
    snprintf(line, sizeof(line), "%s  %zu  %s  %s\n", hex, size, reset ? "reset" : "eof",
             exchange.peer);
    expect_output(output, line, strlen(line));
    exchange_free(&exchange);
    free(payload);
}

static void hash_tells_digest_bytes_end_and_peer(void **state)
{
    const size_t sizes[] = {0, 1, 240, 241, 64 * KIB, MIB + 3};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_hash("hash", digest_xxh3, sizes[i], false);
        check_hash("hash:xxh3", digest_xxh3, sizes[i], false);
        check_hash("hash:sha256", digest_sha256, sizes[i], false);
    }
    /* More than the receive buffer holds, so that the receiver has begun before the reset: the
     * kernel forgets the peer's name with it. */
    check_hash("hash", digest_xxh3, MIB, true);
    check_hash("hash:sha256", digest_sha256, MIB, true);
}

static void discard_takes_everything(void **state)
{
    struct opened discard = sink_open(NULL, "discard");
    uint8_t *payload = payload_make(1, MIB);

    (void)state;
    assert_int_equal(LB_END_EOF, send_bytes(&discard, payload, MIB));
    assert_int_equal(LB_END_RESET, send_bytes_and_reset(&discard, payload, 1));
    sink_close(&discard);
    free(payload);
}

const struct CMUnitTest output_tests[] = {
    cmocka_unit_test(specifications_are_checked),
    cmocka_unit_test(every_sink_is_described),
    cmocka_unit_test(options_of_other_sinks_are_refused),
    FIXTURE_TEST(the_output_must_be_writable),
    FIXTURE_TEST(print_writes_every_byte),
    FIXTURE_TEST(print_keeps_streams_apart),
    FIXTURE_TEST(print_hides_what_is_not_complete),
    FIXTURE_TEST(print_without_a_disk_ends_as_sink),
    FIXTURE_TEST(the_directory_for_temporary_files_is_tried_at_the_start),
    FIXTURE_TEST(print_after_the_directory_for_temporary_files_has_gone),
    FIXTURE_TEST(one_stream_may_have_the_whole_spool),
    FIXTURE_TEST(print_waits_for_a_pipe),
    FIXTURE_TEST(a_reader_that_left_ends_as_sink),
    FIXTURE_TEST(a_socket_that_left_raises_no_signal),
    FIXTURE_TEST(stdout_waits_for_a_pipe),
    FIXTURE_TEST(stdout_waits_for_a_pipe_that_blocks),
    FIXTURE_TEST(stdout_writes_files_and_sockets),
    FIXTURE_TEST(hash_tells_digest_bytes_end_and_peer),
    FIXTURE_TEST(discard_takes_everything),
};
const size_t output_test_count = sizeof(output_tests) / sizeof(output_tests[0]);
