/* SPDX-License-Identifier: MIT */
/* file and dir: a name is given to what is complete, and never to anything else. */
#include "fixture.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct lb_sink_options append = {LB_SINK_OPTIONS_INIT, .append = true};

static void expect_private(const char *path)
{
    struct stat status;

    assert_return_code(lstat(path, &status), errno);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(0600, status.st_mode & 07777);
}

static void file_is_published(void **state)
{
    const struct fixture *fixture = *state;
    const char *path = path_in(fixture, "received");
    struct opened file = sink_open(NULL, "file:%s", path);
    uint8_t *payload = payload_make(1, MIB + 1);

    assert_false(file_exists(path));
    assert_int_equal(LB_END_EOF, send_bytes(&file, payload, MIB + 1));
    sink_close(&file);
    expect_file(path, payload, MIB + 1);
    expect_private(path);
    assert_int_equal(1, count_names(fixture, "", NULL, 0));
    free(payload);
}

static int expect_unpublished(struct exchange *exchange)
{
    char partial[500];

    snprintf(partial, sizeof(partial), "%s.receiving", (const char *)exchange->argument);
    return await_file(partial) == 0 && !file_exists(exchange->argument) ? 0 : -EPROTO;
}

static void file_has_no_name_before_its_end(void **state)
{
    const char *path = path_in(*state, "received");
    struct opened file = sink_open(NULL, "file:%s", path);
    struct exchange exchange = {
        .data = "x", .size = 1, .before_end = expect_unpublished, .argument = path};

    assert_int_equal(LB_END_EOF, exchange_run(&exchange, &file));
    assert_int_equal(0, exchange.result);
    exchange_free(&exchange);
    sink_close(&file);
    expect_file(path, "x", 1);
}

static void file_in_the_working_directory(void **state)
{
    const struct fixture *fixture = *state;
    char before[1000];
    struct opened file;

    assert_non_null(getcwd(before, sizeof(before)));
    assert_return_code(chdir(fixture->directory), errno);
    file = sink_open(NULL, "file:received");
    assert_return_code(chdir(before), errno);
    assert_int_equal(LB_END_EOF, send_bytes(&file, "here", 4));
    sink_close(&file);
    expect_file(path_in(fixture, "received"), "here", 4);
}

static void expect_file_refused(const struct lb_sink_options *options, int code, const char *path,
                                const char *word)
{
    char specification[500];

    snprintf(specification, sizeof(specification), "file:%s", path);
    expect_refused(options, code, specification, (const char *[]){specification, word, NULL});
}

static void file_refuses_what_it_would_fail_on(void **state)
{
    const struct fixture *fixture = *state;
    const char *taken = path_in(fixture, "taken");
    const char *stale = path_in(fixture, "stale");
    char longest[300];

    file_write(taken, "precious", 8);
    file_write(path_in(fixture, "stale.partial"), "half", 4);
    expect_file_refused(NULL, -EEXIST, taken, "append");
    expect_file(taken, "precious", 8);
    expect_file_refused(NULL, -EEXIST, stale, "stale.partial");
    expect_file_refused(&append, -EEXIST, stale, "stale.partial");
    expect_file_refused(NULL, -EINVAL, fixture->directory, "dir:PATH");
    expect_file_refused(NULL, -EINVAL, path_in(fixture, "sub/"), "dir:PATH");
    expect_file_refused(NULL, -ENOENT, path_in(fixture, "none/file"), "mkdir -p");
    expect_file_refused(NULL, -ENOTDIR, path_in(fixture, "taken/file"), "directory");
    memset(longest, 'x', 250);
    longest[250] = '\0';
    expect_file_refused(NULL, -ENAMETOOLONG, path_in(fixture, longest), "245");
}

static void file_follows_no_link(void **state)
{
    const struct fixture *fixture = *state;
    const char *link = path_in(fixture, "link");
    const char *target = path_in(fixture, "target");

    file_write(target, "precious", 8);
    assert_return_code(symlink(target, link), errno);
    expect_file_refused(NULL, -EINVAL, link, "regular file");
    expect_file_refused(&append, -EINVAL, link, "regular file");
    expect_file(target, "precious", 8);
}

static void file_takes_one_stream(void **state)
{
    const struct fixture *fixture = *state;
    const char *path = path_in(fixture, "received");
    struct opened file = sink_open(NULL, "file:%s", path);

    assert_int_equal(LB_END_EOF, send_bytes(&file, "first", 5));
    assert_int_equal(LB_END_SINK, send_bytes(&file, "second", 6));
    assert_return_code(unlink(path), errno);
    assert_int_equal(LB_END_SINK, send_bytes(&file, "third", 5));
    sink_close(&file);
    assert_int_equal(0, count_names(fixture, "", NULL, 0));
}

static void file_keeps_what_is_not_complete_apart(void **state)
{
    const struct fixture *fixture = *state;
    struct opened file = sink_open(NULL, "file:%s", path_in(fixture, "received"));

    assert_int_equal(LB_END_RESET, send_bytes_and_reset(&file, "half", 4));
    sink_close(&file);
    assert_false(file_exists(path_in(fixture, "received")));
    expect_file(path_in(fixture, "received.partial"), "half", 4);
    expect_private(path_in(fixture, "received.partial"));
}

static void file_takes_nobodys_name(void **state)
{
    const struct fixture *fixture = *state;
    const char *path = path_in(fixture, "received");
    struct opened file = sink_open(NULL, "file:%s", path);

    file_write(path, "precious", 8);
    assert_int_equal(LB_END_SINK, send_bytes(&file, "late", 4));
    sink_close(&file);
    expect_file(path, "precious", 8);
    expect_file(path_in(fixture, "received.partial"), "late", 4);
}

static void file_on_a_full_disk_ends_as_sink(void **state)
{
    const struct fixture *fixture = *state;
    struct opened file = sink_open(NULL, "file:%s", path_in(fixture, "received"));
    uint8_t *payload = payload_make(1, MIB);

    limit_files(100000);
    assert_int_equal(LB_END_SINK, send_bytes(&file, payload, MIB));
    unlimit_files();
    sink_close(&file);
    assert_false(file_exists(path_in(fixture, "received")));
    expect_file(path_in(fixture, "received.partial"), payload, 100000);
    free(payload);
}

static void append_adds_complete_streams_alone(void **state)
{
    const struct fixture *fixture = *state;
    const char *path = path_in(fixture, "received");
    struct opened file = sink_open(&append, "file:%s", path);
    char name[300];

    assert_int_equal(LB_END_EOF, send_bytes(&file, "one ", 4));
    assert_int_equal(LB_END_RESET, send_bytes_and_reset(&file, "half", 4));
    assert_int_equal(LB_END_EOF, send_bytes(&file, "two ", 4));
    assert_int_equal(LB_END_EOF, send_bytes(&file, "", 0));
    sink_close(&file);
    expect_private(path);
    /* Another run goes on where this one stopped. */
    file = sink_open(&append, "file:%s", path);
    assert_int_equal(LB_END_EOF, send_bytes(&file, "three", 5));
    sink_close(&file);
    expect_file(path, "one two three", 13);
    assert_int_equal(1, count_names(fixture, ".partial", name, sizeof(name)));
    expect_file(path_in(fixture, name), "half", 4);
    assert_int_equal(2, count_names(fixture, "", NULL, 0));
}

/* What stands under the name when a stream ends, made after the start. */
static int make_fifo(const char *path)
{
    return mkfifo(path, 0666);
}

static int make_link(const char *path)
{
    char target[500];

    snprintf(target, sizeof(target), "%s.target", path);
    file_write(target, "precious", 8);
    return symlink(target, path);
}

static int make_second_name(const char *path)
{
    char other[500];

    snprintf(other, sizeof(other), "%s.other", path);
    file_write(path, "precious", 8);
    return link(path, other);
}

static int make_foreign(const char *path)
{
    if (geteuid() != 0)
        return make_fifo(path);
    file_write(path, "", 0);
    return chown(path, 65534, 65534);
}

static void take_notes(void *context, enum lb_note_level level, const char *text)
{
    (void)level;
    snprintf(context, 500, "%s", text);
}

/* Whoever may write in the directory can put something there: it must neither hold the server up
 * nor get a byte. */
static void append_is_for_what_is_ours(void **state)
{
    int (*const makers[])(const char *path) = {make_fifo, make_link, make_second_name,
                                               make_foreign};
    const struct fixture *fixture = *state;
    char note[500], name[50];
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .append = true,
                                            .note = take_notes, .note_context = note};

    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        struct opened file;
        struct stat before, after;

        snprintf(name, sizeof(name), "received%zu", i);
        note[0] = '\0';
        file = sink_open(&options, "file:%s", path_in(fixture, name));
        assert_return_code(makers[i](path_in(fixture, name)), errno);
        assert_return_code(stat(path_in(fixture, name), &before), errno);
        assert_int_equal(LB_END_SINK, send_bytes(&file, "secret", 6));
        assert_non_null(strstr(note, "nothing is added to it"));
        assert_return_code(stat(path_in(fixture, name), &after), errno);
        assert_int_equal(before.st_size, after.st_size);
        assert_int_equal(i + 1, count_names(fixture, ".partial", NULL, 0));
        /* Out of the way, it goes on. */
        assert_return_code(unlink(path_in(fixture, name)), errno);
        assert_int_equal(LB_END_EOF, send_bytes(&file, "secret", 6));
        sink_close(&file);
        expect_file(path_in(fixture, name), "secret", 6);
    }
    make_second_name(path_in(fixture, "linked"));
    expect_file_refused(&append, -EPERM, path_in(fixture, "linked"), "hard link");
}

static void append_copies_every_byte(void **state)
{
    const struct fixture *fixture = *state;
    const char *path = path_in(fixture, "received");
    struct opened file = sink_open(&append, "file:%s", path);
    uint8_t *payload = payload_make(9, 3 * MIB + 5);

    file_write(path, payload, 5);
    assert_int_equal(LB_END_EOF, send_bytes(&file, payload + 5, 2 * MIB));
    assert_int_equal(LB_END_EOF, send_bytes(&file, payload + 5 + 2 * MIB, MIB));
    sink_close(&file);
    expect_file(path, payload, 3 * MIB + 5);
    assert_int_equal(1, count_names(fixture, "", NULL, 0));
    free(payload);
}

static void append_is_all_or_nothing(void **state)
{
    enum { BEFORE = 60000, STREAM = 70000, LIMIT = 100000 };
    const struct fixture *fixture = *state;
    const char *path = path_in(fixture, "received");
    uint8_t *payload = payload_make(3, STREAM);
    struct opened file = sink_open(&append, "file:%s", path);
    char name[300];

    file_write(path, payload, BEFORE);
    limit_files(LIMIT);
    assert_int_equal(LB_END_SINK, send_bytes(&file, payload, STREAM));
    unlimit_files();
    expect_file(path, payload, BEFORE);
    assert_int_equal(1, count_names(fixture, ".partial", name, sizeof(name)));
    expect_file(path_in(fixture, name), payload, STREAM);
    assert_int_equal(LB_END_EOF, send_bytes(&file, payload + BEFORE, STREAM - BEFORE));
    sink_close(&file);
    expect_file(path, payload, STREAM);
    free(payload);
}

static void dir_makes_a_file_for_each_stream(void **state)
{
    enum { STREAMS = 5 };
    const struct fixture *fixture = *state;
    struct opened dir = sink_open(NULL, "dir:%s", fixture->directory);
    uint8_t *payload = payload_make(2, STREAMS * MIB);
    char names[STREAMS][300];
    regex_t pattern;

    assert_int_equal(0, regcomp(&pattern, "^[0-9]{8}T[0-9]{6}\\.[0-9]{6}Z-[0-9]{6,}$",
                                REG_EXTENDED | REG_NOSUB));
    for (unsigned i = 0; i < STREAMS; i++) {
        size_t size = i * (MIB / 2);

        assert_int_equal(LB_END_EOF, send_bytes(&dir, payload + i, size));
        /* The newest is found by removing it. */
        assert_int_equal(1, count_names(fixture, "", names[i], sizeof(names[i])));
        assert_int_equal(0, regexec(&pattern, names[i], 0, NULL, 0));
        expect_private(path_in(fixture, names[i]));
        expect_file(path_in(fixture, names[i]), payload + i, size);
        assert_return_code(unlink(path_in(fixture, names[i])), errno);
        assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
    }
    sink_close(&dir);
    regfree(&pattern);
    free(payload);
}

static void dir_keeps_what_is_not_complete_apart(void **state)
{
    const struct fixture *fixture = *state;
    struct opened dir = sink_open(NULL, "dir:%s", fixture->directory);
    char name[300];

    assert_int_equal(LB_END_RESET, send_bytes_and_reset(&dir, "half", 4));
    assert_int_equal(1, count_names(fixture, ".partial", name, sizeof(name)));
    expect_private(path_in(fixture, name));
    expect_file(path_in(fixture, name), "half", 4);
    assert_int_equal(LB_END_EOF, send_bytes(&dir, "whole", 5));
    sink_close(&dir);
    assert_int_equal(2, count_names(fixture, "", NULL, 0));
    assert_int_equal(1, count_names(fixture, ".partial", NULL, 0));
}

static void dir_on_a_full_disk_ends_as_sink(void **state)
{
    const struct fixture *fixture = *state;
    struct opened dir = sink_open(NULL, "dir:%s", fixture->directory);
    uint8_t *payload = payload_make(1, MIB);
    char name[300];

    limit_files(100000);
    assert_int_equal(LB_END_SINK, send_bytes(&dir, payload, MIB));
    unlimit_files();
    sink_close(&dir);
    assert_int_equal(1, count_names(fixture, "", NULL, 0));
    assert_int_equal(1, count_names(fixture, ".partial", name, sizeof(name)));
    expect_file(path_in(fixture, name), payload, 100000);
    free(payload);
}

static void dir_must_be_a_directory(void **state)
{
    const struct fixture *fixture = *state;
    char specification[500];

    snprintf(specification, sizeof(specification), "dir:%s", path_in(fixture, "none"));
    expect_refused(NULL, -ENOENT, specification, (const char *[]){specification, "mkdir -p", NULL});
    file_write(path_in(fixture, "none"), "x", 1);
    expect_refused(NULL, -ENOTDIR, specification,
                   (const char *[]){specification, "directory", NULL});
}

static bool is_same_file(int fd, const char *path)
{
    struct stat one, other;

    return fstat(fd, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int remove_all(struct exchange *exchange)
{
    const struct fixture *fixture = exchange->argument;
    int rc = await_receiving(fixture);
    char name[300];

    if (rc < 0)
        return rc;
    count_names(fixture, ".receiving", name, sizeof(name));
    return unlink(path_in(fixture, name)) == 0 && rmdir(fixture->directory) == 0 ? 0 : -errno;
}

/* The directory is removed while a stream is received: that and all later ones fail, also with
 * another directory in its place. */
static void check_removed(const struct fixture *fixture, bool dir)
{
    char note[500] = "";
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .append = !dir,
                                            .note = take_notes, .note_context = note};
    struct opened sink =
        sink_open(&options, dir ? "dir:%s" : "file:%s/received", fixture->directory);
    struct exchange exchange = {
        .data = "lost", .size = 4, .before_end = remove_all, .argument = fixture};

    assert_int_equal(LB_END_SINK, exchange_run(&exchange, &sink));
    assert_int_equal(0, exchange.result);
    exchange_free(&exchange);
    assert_int_equal(LB_END_SINK, send_bytes(&sink, "lost", 4));
    assert_non_null(strstr(note, "was removed"));
    note[0] = '\0';
    assert_return_code(mkdir(fixture->directory, 0700), errno);
    assert_int_equal(LB_END_SINK, send_bytes(&sink, "lost", 4));
    assert_string_equal("", note); /* told once */
    assert_int_equal(0, count_names(fixture, "", NULL, 0));
    sink_close(&sink);
}

static void a_directory_that_was_removed_is_found_out(void **state)
{
    check_removed(*state, true);
    check_removed(*state, false);
}

/* In a child, which can't get the names back. Returns its exit status. */
static int open_without_names(const char *specification)
{
    struct lb_error error = {LB_ERROR_INIT};
    const struct lb_sink *sink;
    void *context;

    if (!names_forget())
        return 0; /* not here */
    if (lb_sink_open(&sink, &context, specification, NULL, &error) != -EOPNOTSUPP)
        return 1;
    return strstr(error.text, "hard links") ? 0 : 2;
}

static void a_file_system_without_names_is_refused(void **state)
{
    const struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        char specification[300];
        int status;
        pid_t pid;

        snprintf(specification, sizeof(specification), i ? "file:%s/received" : "dir:%s",
                 fixture->directory);
        pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0)
            _exit(open_without_names(specification));
        assert_int_equal(pid, waitpid(pid, &status, 0));
        assert_int_equal(0, status);
        /* Not even a hidden name is left. */
        assert_return_code(rmdir(fixture->directory), errno);
        assert_return_code(mkdir(fixture->directory, 0700), errno);
    }
}

static void permission_is_checked(void **state)
{
    const struct fixture *fixture = *state;
    const char *path = path_in(fixture, "received");
    char specification[500];

    snprintf(specification, sizeof(specification), "dir:%s", fixture->directory);
    file_write(path, "precious", 8);
    assert_return_code(chmod(path, 0444), errno);
    assert_return_code(chmod(fixture->directory, 0555), errno);
    powers_drop();
    expect_refused(NULL, -EACCES, specification, (const char *[]){specification, NULL});
    expect_file_refused(NULL, -EACCES, path_in(fixture, "new"), fixture->directory);
    powers_regain();
    assert_return_code(chmod(fixture->directory, 0777), errno);
    powers_drop();
    expect_file_refused(&append, -EACCES, path, "Permission denied");
    powers_regain();
}

/* As by a program that opens its sink as root, and then becomes somebody else. */
static void permission_can_be_checked_again(void **state)
{
    const struct fixture *fixture = *state;
    struct opened sinks[] = {
        sink_open(NULL, "dir:%s", fixture->directory),
        sink_open(NULL, "file:%s", path_in(fixture, "new")),
        sink_open(&append, "file:%s", path_in(fixture, "received")),
    };
    struct lb_error error = {LB_ERROR_INIT};

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(LB_NEEDS_DIRECTORY, sinks[i].sink->needs);
        assert_true(is_same_file(sinks[i].sink->directory(sinks[i].context), fixture->directory));
        assert_int_equal(0, sinks[i].sink->check(sinks[i].context, &error));
    }
    file_write(path_in(fixture, "received"), "precious", 8);
    assert_return_code(chmod(path_in(fixture, "received"), 0444), errno);
    assert_return_code(chmod(fixture->directory, 0777), errno);
    powers_drop();
    assert_int_equal(-EACCES, sinks[2].sink->check(sinks[2].context, &error));
    assert_non_null(strstr(error.text, "appended"));
    assert_int_equal(0, sinks[0].sink->check(sinks[0].context, &error));
    powers_regain();
    assert_return_code(chmod(fixture->directory, 0555), errno);
    powers_drop();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(-EACCES, sinks[i].sink->check(sinks[i].context, &error));
        assert_non_null(strstr(error.text, "Permission denied"));
    }
    powers_regain();
    for (size_t i = 0; i < 3; i++)
        sink_close(&sinks[i]);
}

const struct CMUnitTest file_tests[] = {
    FIXTURE_TEST(file_is_published),
    FIXTURE_TEST(file_has_no_name_before_its_end),
    FIXTURE_TEST(file_in_the_working_directory),
    FIXTURE_TEST(file_refuses_what_it_would_fail_on),
    FIXTURE_TEST(file_follows_no_link),
    FIXTURE_TEST(file_takes_one_stream),
    FIXTURE_TEST(file_keeps_what_is_not_complete_apart),
    FIXTURE_TEST(file_takes_nobodys_name),
    FIXTURE_TEST(file_on_a_full_disk_ends_as_sink),
    FIXTURE_TEST(append_adds_complete_streams_alone),
    FIXTURE_TEST(append_is_for_what_is_ours),
    FIXTURE_TEST(append_copies_every_byte),
    FIXTURE_TEST(append_is_all_or_nothing),
    FIXTURE_TEST(dir_makes_a_file_for_each_stream),
    FIXTURE_TEST(dir_keeps_what_is_not_complete_apart),
    FIXTURE_TEST(dir_on_a_full_disk_ends_as_sink),
    FIXTURE_TEST(dir_must_be_a_directory),
    FIXTURE_TEST(a_directory_that_was_removed_is_found_out),
    FIXTURE_TEST(a_file_system_without_names_is_refused),
    FIXTURE_TEST(permission_is_checked),
    FIXTURE_TEST(permission_can_be_checked_again),
};
const size_t file_test_count = sizeof(file_tests) / sizeof(file_tests[0]);
