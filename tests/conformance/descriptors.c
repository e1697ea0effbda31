/* SPDX-License-Identifier: MIT */
/* Sinks that are only descriptors: the same bytes, ends and counts, whichever way they take. */
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

/* One way of handing bytes over. */
struct mode {
    const char *name;
    bool no_splice;
    bool direct;
};

static const struct mode modes[] = {
    {"spliced", .no_splice = false},
    {"by write", .no_splice = true},
    {"direct", .direct = true},
};

/* Pipes know no direct writing. */
enum { PIPE_MODES = 2, MODES = 3 };

/* A built-in sink under test, and where it puts its files. */
struct bench {
    struct server *server;
    const struct lb_sink *sink;
    void *context;
    char directory[200];
    struct lb_stats stats; /* bench_close's */
};

/* spec has one %s: the directory. */
static void bench_open(struct bench *bench, struct server *server, const struct mode *mode,
                       const char *spec, int output_fd)
{
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .output_fd = output_fd,
                                            .direct = mode->direct};
    struct lb_error error = {LB_ERROR_INIT};
    char text[300];

    *bench = (struct bench){.server = server};
    CHECK_OK(server, directory_make(bench->directory, sizeof(bench->directory)));
    /* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): the cases' own */
    snprintf(text, sizeof(text), spec, bench->directory);
    if (lb_sink_open(&bench->sink, &bench->context, text, &options, &error) != 0)
        server_give_up(server, __FILE__, __LINE__, "%s: %s", text, error.text);
    server->config.sink = bench->sink;
    server->config.sink_context = bench->context;
    server->config.no_splice = mode->no_splice;
    CHECK_OK(server, lb_engine_open(&server->engine, &server->config, NULL));
    server->address = suite_front(lb_engine_address(server->engine, 0));
    server_start(server);
}

/* Stops and looks at the statistics; the files are there still. */
static void bench_close(struct bench *bench)
{
    struct server *server = bench->server;

    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    bench->stats = server_stats(server);
    lb_engine_close(server->engine);
    server->engine = NULL;
    suite_leave();
    lb_sink_close(bench->sink, bench->context);
    CHECK_SAME(server, process_count_fds(), server->fds);
    /* The kernel has those that were joined a little longer. */
    AWAIT(server, process_count_threads() <= server->threads);
}

static void await_streams(struct server *server, uint64_t streams)
{
    AWAIT(server, server_stats(server).streams == streams);
}

/* The payload whose tag fd's bytes begin with, whole, and nothing beyond. Returns its size. */
static uint64_t check_content(struct server *server, int fd)
{
    XXH3_state_t *state = XXH3_createState();
    XXH128_hash_t expected, digest;
    uint64_t tag = 0, size = 0;
    uint8_t data[32768];
    ssize_t got;

    XXH3_128bits_reset(state);
    while ((got = read(fd, data, sizeof(data))) > 0) {
        if (size == 0)
            memcpy(&tag, data, sizeof(tag));
        XXH3_128bits_update(state, data, (size_t)got);
        size += (uint64_t)got;
    }
    CHECK_SAME(server, got, 0);
    digest = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    expected = payload_digest(tag, size);
    CHECK(server, XXH128_isEqual(digest, expected));
    return size;
}

/* Every file in the bench's directory is a payload. Returns how many bytes they have; counts those
 * that are partial. */
static uint64_t check_files(const struct bench *bench, unsigned *files, unsigned *partial)
{
    DIR *directory = opendir(bench->directory);
    struct dirent *entry;
    uint64_t total = 0;

    CHECK(bench->server, directory != NULL);
    *files = *partial = 0;
    while ((entry = readdir(directory))) {
        int fd;

        if (entry->d_name[0] == '.')
            continue;
        fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
        CHECK(bench->server, fd >= 0);
        total += check_content(bench->server, fd);
        close(fd);
        ++*files;
        *partial += strstr(entry->d_name, ".partial") != NULL;
    }
    closedir(directory);
    return total;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* What is left over when a stream is cut into blocks, pages or sectors. */
static const uint64_t tails[] = {0, 8, 511, 512, 513, 4095, 4096, 4097};

enum { TAILS = sizeof(tails) / sizeof(tails[0]) };

static void many_files(struct server *server, const struct mode *mode)
{
    unsigned bases = scale_count(4, 2), files, partial;
    struct sender *senders[4 * TAILS];
    struct bench bench;
    uint64_t total = 0;

    bench_open(&bench, server, mode, "dir:%s", 0);
    for (unsigned i = 0; i < bases * TAILS; i++) {
        uint64_t size = i / TAILS * MIB + tails[i % TAILS];

        size = size ? size : PAYLOAD_TAG_SIZE;
        total += size;
        CHECK_OK(server, sender_start(&senders[i], server_connect(server), i + 1, size, MIB));
    }
    for (unsigned i = 0; i < bases * TAILS; i++)
        CHECK_OK(server, sender_join(senders[i]));
    bench_close(&bench);
    CHECK_SAME(server, check_files(&bench, &files, &partial), total);
    CHECK_SAME(server, files, bases * TAILS);
    CHECK_SAME(server, partial, 0);
    CHECK_SAME(server, bench.stats.bytes, total);
    CHECK_SAME(server, bench.stats.ends[LB_END_EOF], bases * TAILS);
    directory_remove(bench.directory);
}

static void into_files(void **state)
{
    for (int i = 0; i < MODES; i++)
        many_files(*state, &modes[i]);
}

/* Nothing that came before a reset is lost, and nothing is called complete. */
static void file_of_a_reset(struct server *server, const struct mode *mode)
{
    const uint64_t size = 5 * MIB / 2 + 100;
    unsigned files, partial;
    struct bench bench;
    int fd;

    bench_open(&bench, server, mode, "file:%s/out", 0);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 7, 0, size, MIB));
    CHECK_OK(server, peer_reset_behind(fd));
    await_streams(server, 1);
    bench_close(&bench);
    CHECK_SAME(server, check_files(&bench, &files, &partial), size);
    CHECK_SAME(server, partial, 1);
    CHECK_SAME(server, bench.stats.bytes, size);
    CHECK_SAME(server, bench.stats.ends[LB_END_RESET], 1);
    directory_remove(bench.directory);
}

static void into_file_until_reset(void **state)
{
    for (int i = 0; i < MODES; i++)
        file_of_a_reset(*state, &modes[i]);
}

/* The file may not grow: as good as a full disk. */
static void file_too_large(struct server *server, const struct mode *mode)
{
    const uint64_t limit = 3 * MIB + 4096;
    const struct rlimit small = {.rlim_cur = limit, .rlim_max = RLIM_INFINITY};
    struct sender *sender;
    unsigned files, partial;
    struct rlimit before;
    struct bench bench;
    uint64_t kept;

    bench_open(&bench, server, mode, "file:%s/out", 0);
    CHECK_SAME(server, getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_SAME(server, setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_OK(server, sender_start(&sender, server_connect(server), 9, 8 * MIB, MIB));
    sender_join(sender);
    await_streams(server, 1);
    CHECK_SAME(server, setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    bench_close(&bench);
    kept = check_files(&bench, &files, &partial);
    CHECK_SAME(server, kept, limit);
    CHECK_SAME(server, partial, 1);
    /* write tells of a piece as a whole, and direct writing is told of a failure later. */
    CHECK(server, mode->direct || bench.stats.bytes <= limit);
    CHECK_SAME(server, bench.stats.ends[LB_END_SINK], 1);
    directory_remove(bench.directory);
}

static void into_file_too_large(void **state)
{
    for (int i = 0; i < MODES; i++)
        file_too_large(*state, &modes[i]);
}

/* ---- pipes ---------------------------------------------------------------------------------- */

/* Nobody reads: the stream pauses, and the sender waits. Then all of it comes. */
static void slow_pipe(struct server *server, const struct mode *mode)
{
    const uint64_t size = 20 * MIB + 13;
    struct sender *sender;
    struct bench bench;
    int ends[2];

    CHECK_SAME(server, pipe2(ends, O_CLOEXEC), 0);
    server->fds += 2;
    bench_open(&bench, server, mode, "stdout", ends[1]);
    CHECK_OK(server, sender_start(&sender, server_connect(server), 3, size, MIB));
    AWAIT(server, server_stats(server).bytes >= 4096);
    CHECK(server, server_stats(server).bytes < size / 2);
    CHECK(server, atomic_load(&sender->sent) < size);
    for (uint64_t got = 0; got < size;) {
        uint8_t data[65536], expected[65536];
        ssize_t one = read(ends[0], data, sizeof(data));

        CHECK(server, one > 0);
        payload_fill(3, got, expected, (size_t)one);
        CHECK(server, memcmp(data, expected, (size_t)one) == 0);
        got += (uint64_t)one;
    }
    CHECK_OK(server, sender_join(sender));
    bench_close(&bench);
    CHECK_SAME(server, bench.stats.bytes, size);
    CHECK_SAME(server, bench.stats.ends[LB_END_EOF], 1);
    close(ends[1]);
    CHECK_SAME(server, read(ends[0], &(char){0}, 1), 0); /* nothing beyond */
    close(ends[0]);
    server->fds -= 2;
    directory_remove(bench.directory);
}

static void into_a_pipe(void **state)
{
    for (int i = 0; i < PIPE_MODES; i++)
        slow_pipe(*state, &modes[i]);
}

/* A stream that is stopped while its pipe is full. */
static void stopped_pipe(struct server *server, const struct mode *mode)
{
    struct bench bench;
    struct sender *sender;
    int ends[2];

    CHECK_SAME(server, pipe2(ends, O_CLOEXEC), 0);
    server->fds += 2;
    bench_open(&bench, server, mode, "stdout", ends[1]);
    CHECK_OK(server, sender_start(&sender, server_connect(server), 3, 20 * MIB, MIB));
    AWAIT(server, server_stats(server).bytes >= 4096);
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    CHECK(server, sender_join(sender) != 0);
    bench_close(&bench);
    CHECK_SAME(server, bench.stats.ends[LB_END_STOPPED], 1);
    close(ends[0]);
    close(ends[1]);
    server->fds -= 2;
    directory_remove(bench.directory);
}

static void stopped_at_a_full_pipe(void **state)
{
    for (int i = 0; i < PIPE_MODES; i++)
        stopped_pipe(*state, &modes[i]);
}

static void commands(struct server *server, const struct mode *mode)
{
    enum { COMMANDS = 4 };
    const uint64_t size = 3 * MIB + 77;
    struct sender *senders[COMMANDS];
    unsigned files, partial;
    struct bench bench;

    bench_open(&bench, server, mode, "exec:cat >%s/$LASTBYTE_STREAM", 0);
    for (unsigned i = 0; i < COMMANDS; i++)
        CHECK_OK(server, sender_start(&senders[i], server_connect(server), i + 1, size, MIB));
    for (unsigned i = 0; i < COMMANDS; i++)
        CHECK_OK(server, sender_join(senders[i]));
    bench_close(&bench);
    CHECK_SAME(server, check_files(&bench, &files, &partial), COMMANDS * size);
    CHECK_SAME(server, files, COMMANDS);
    CHECK_SAME(server, bench.stats.bytes, COMMANDS * size);
    CHECK_SAME(server, bench.stats.ends[LB_END_EOF], COMMANDS);
    directory_remove(bench.directory);
}

static void into_commands(void **state)
{
    for (int i = 0; i < PIPE_MODES; i++)
        commands(*state, &modes[i]);
}

/* What a command chose not to read is received all the same. */
static void early_command(struct server *server, const struct mode *mode)
{
    const uint64_t size = 6 * MIB;
    struct sender *sender;
    struct bench bench;

    signal(SIGPIPE, SIG_IGN);
    bench_open(&bench, server, mode, "exec:head -c 100000 >%s/head", 0);
    CHECK_OK(server, sender_start(&sender, server_connect(server), 1, size, MIB));
    CHECK_OK(server, sender_join(sender));
    bench_close(&bench);
    signal(SIGPIPE, SIG_DFL);
    CHECK_SAME(server, bench.stats.bytes, size);
    CHECK_SAME(server, bench.stats.ends[LB_END_EOF], 1);
    directory_remove(bench.directory);
}

static void into_a_command_that_stops_reading(void **state)
{
    for (int i = 0; i < PIPE_MODES; i++)
        early_command(*state, &modes[i]);
}

/* ---- urgent mark ---------------------------------------------------------------------------- */

/* A splice that begins at the mark moves 0 bytes, which is no end. idle: all that is before it has
 * been received by then. The urgent byte stays where it was sent: it is the payload's own. */
static void send_with_mark(struct server *server, int fd, uint64_t size, bool idle)
{
    const uint64_t half = size / 2;
    uint8_t urgent;

    payload_fill(5, half, &urgent, 1);
    CHECK_OK(server, peer_send_payload(fd, 5, 0, half, MIB));
    if (idle)
        AWAIT(server, server_stats(server).bytes == half);
    CHECK_SAME(server, send(fd, &urgent, 1, MSG_OOB | MSG_NOSIGNAL), 1);
    if (idle)
        CHECK_OK(server, peer_await_acked(fd));
    CHECK_OK(server, peer_send_payload(fd, 5, half + 1, size, MIB));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
}

static void marked_file(struct server *server, const struct mode *mode, bool idle)
{
    const uint64_t size = 8 * MIB;
    unsigned files, partial;
    struct bench bench;
    int fd;

    bench_open(&bench, server, mode, "file:%s/out", 0);
    fd = server_connect(server);
    send_with_mark(server, fd, size, idle);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    await_streams(server, 1);
    bench_close(&bench);
    CHECK_SAME(server, check_files(&bench, &files, &partial), size);
    CHECK_SAME(server, partial, 0);
    CHECK_SAME(server, bench.stats.bytes, size);
    CHECK_SAME(server, bench.stats.ends[LB_END_EOF], 1);
    directory_remove(bench.directory);
}

static void urgent_mark_into_a_file(void **state)
{
    for (int i = 0; i < 2 * MODES; i++)
        marked_file(*state, &modes[i / 2], i % 2);
}

/* Reads all that comes, so that the connection is never full for long. */
struct reader {
    int fd;
    uint64_t size;
    bool right;
};

static void *read_payload(void *argument)
{
    struct reader *reader = argument;
    uint8_t data[65536], expected[65536];
    ssize_t got;

    reader->right = true;
    while ((got = read(reader->fd, data, sizeof(data))) > 0) {
        payload_fill(5, reader->size, expected, (size_t)got);
        reader->right &= memcmp(data, expected, (size_t)got) == 0;
        reader->size += (uint64_t)got;
    }
    return NULL;
}

static void marked_pipe(struct server *server, const struct mode *mode, bool idle)
{
    const uint64_t size = 8 * MIB;
    struct reader reader = {0};
    struct bench bench;
    pthread_t thread;
    int ends[2], fd;

    CHECK_SAME(server, pipe2(ends, O_CLOEXEC), 0);
    server->fds += 2;
    bench_open(&bench, server, mode, "stdout", ends[1]);
    reader.fd = ends[0];
    CHECK_SAME(server, pthread_create(&thread, NULL, read_payload, &reader), 0);
    server->threads++;
    fd = server_connect(server);
    send_with_mark(server, fd, size, idle);
    CHECK_OK(server, peer_await_eof(fd));
    close(fd);
    await_streams(server, 1);
    bench_close(&bench);
    CHECK_SAME(server, bench.stats.bytes, size);
    CHECK_SAME(server, bench.stats.ends[LB_END_EOF], 1);
    close(ends[1]);
    pthread_join(thread, NULL);
    server->threads--;
    CHECK_SAME(server, reader.size, size);
    CHECK(server, reader.right);
    close(ends[0]);
    server->fds -= 2;
    directory_remove(bench.directory);
}

static void urgent_mark_into_a_pipe(void **state)
{
    for (int i = 0; i < 2 * PIPE_MODES; i++)
        marked_pipe(*state, &modes[i / 2], i % 2);
}

const struct test_case descriptors_cases[] = {
    {"into_files", into_files, FAMILY_ANY, 0},
    {"into_file_until_reset", into_file_until_reset, FAMILY_TCP, 0},
    {"into_file_too_large", into_file_too_large, FAMILY_ANY, 0},
    {"into_a_pipe", into_a_pipe, FAMILY_ANY, 0},
    {"stopped_at_a_full_pipe", stopped_at_a_full_pipe, FAMILY_ANY, 0},
    {"into_commands", into_commands, FAMILY_ANY, 0},
    {"into_a_command_that_stops_reading", into_a_command_that_stops_reading, FAMILY_ANY, 0},
    {"urgent_mark_into_a_file", urgent_mark_into_a_file, FAMILY_TCP, 0},
    {"urgent_mark_into_a_pipe", urgent_mark_into_a_pipe, FAMILY_TCP, 0},
    {NULL, NULL, 0, 0},
};
