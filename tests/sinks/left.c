/* SPDX-License-Identifier: MIT */
/* file and dir: what a run that died has left is kept apart, and what the living are at is left
 * alone. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEFT "20260102T030405.060708Z-000009"

static const struct lb_sink_options append = {LB_SINK_OPTIONS_INIT, .append = true};

static void take_note(void *context, enum lb_note_level level, const char *text)
{
    assert_int_equal(LB_NOTE_WARNING, level);
    snprintf(context, 500, "%s", text);
}

static void dir_keeps_what_was_left_unfinished(void **state)
{
    const struct fixture *fixture = *state;
    char note[500] = "";
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .note = take_note,
                                            .note_context = note};
    struct opened dir;

    file_write(path_in(fixture, LEFT ".receiving"), "half", 4);
    file_write(path_in(fixture, "not-ours.receiving"), "theirs", 6);
    dir = sink_open(&options, "dir:%s", fixture->directory);
    assert_non_null(strstr(note, fixture->directory));
    assert_non_null(strstr(note, " 1 stream "));
    expect_file(path_in(fixture, LEFT ".partial"), "half", 4);
    expect_file(path_in(fixture, "not-ours.receiving"), "theirs", 6);
    assert_int_equal(2, count_names(fixture, "", NULL, 0));
    assert_int_equal(LB_END_EOF, send_bytes(&dir, "whole", 5));
    sink_close(&dir);
    /* Told once. */
    note[0] = '\0';
    dir = sink_open(&options, "dir:%s", fixture->directory);
    sink_close(&dir);
    assert_string_equal("", note);
}

/* While a stream is received, another server begins: returns 0 if it takes what is left, which is
 * one stream, and no other. */
static int begin_another(struct exchange *exchange)
{
    const struct fixture *fixture = exchange->argument;
    char note[500] = "", specification[300];
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .note = take_note,
                                            .note_context = note};
    const struct lb_sink *sink;
    void *context;
    int rc = await_receiving(fixture);

    if (rc < 0)
        return rc;
    file_write(path_in(fixture, LEFT ".receiving"), "half", 4);
    snprintf(specification, sizeof(specification), "dir:%s", fixture->directory);
    rc = lb_sink_open(&sink, &context, specification, &options, NULL);
    if (rc == 0)
        lb_sink_close(sink, context);
    return rc < 0 ? rc : strstr(note, " 1 stream ") ? 0 : -EPROTO;
}

/* Another server's streams are under way there: they are not left, but being received. */
static void dir_leaves_the_living_alone(void **state)
{
    const struct fixture *fixture = *state;
    struct opened dir = sink_open(NULL, "dir:%s", fixture->directory);
    struct exchange exchange = {
        .data = "whole", .size = 5, .before_end = begin_another, .argument = fixture};
    char name[300];

    assert_int_equal(LB_END_EOF, exchange_run(&exchange, &dir));
    assert_int_equal(0, exchange.result);
    exchange_free(&exchange);
    sink_close(&dir);
    expect_file(path_in(fixture, LEFT ".partial"), "half", 4);
    assert_return_code(unlink(path_in(fixture, LEFT ".partial")), errno);
    assert_int_equal(1, count_names(fixture, "", name, sizeof(name)));
    expect_file(path_in(fixture, name), "whole", 5);
}

/* Who the next one is to be overtaken by, between making its file and locking it. */
static struct {
    const struct fixture *fixture;
    char note[500];
} heir;

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
    const struct fixture *fixture = operation == LOCK_EX ? heir.fixture : NULL;
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .note = take_note,
                                            .note_context = heir.note};

    if (fixture) {
        struct opened dir;

        heir.fixture = NULL;
        dir = sink_open(&options, "dir:%s", fixture->directory);
        assert_int_equal(1, count_names(fixture, ".partial", NULL, 0));
        sink_close(&dir);
    }
    return __real_flock(fd, operation);
}

/* The heir of a reload finds a file without a lock, which is none that was left: nothing is told of
 * it, and no empty .partial stays. */
static void dir_takes_back_what_it_has_just_made(void **state)
{
    const struct fixture *fixture = *state;
    struct opened dir = sink_open(NULL, "dir:%s", fixture->directory);
    char name[300];

    heir.fixture = fixture;
    assert_int_equal(LB_END_EOF, send_bytes(&dir, "whole", 5));
    assert_null(heir.fixture);
    sink_close(&dir);
    assert_string_equal("", heir.note);
    assert_int_equal(1, count_names(fixture, "", name, sizeof(name)));
    assert_null(strchr(strchr(name, 'Z'), '.'));
    expect_file(path_in(fixture, name), "whole", 5);
}

/* A lock needs no right to write: anybody who may look into the directory can hold its own. */
static void dir_does_not_mind_a_locked_directory(void **state)
{
    const struct fixture *fixture = *state;
    int fd = open(fixture->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct opened dir;

    assert_return_code(fd, errno);
    assert_return_code(flock(fd, LOCK_EX), errno);
    dir = sink_open(NULL, "dir:%s", fixture->directory);
    assert_int_equal(LB_END_EOF, send_bytes(&dir, "whole", 5));
    sink_close(&dir);
    close(fd);
}

/* What has such a name and is no file of ours neither stops the start nor is touched. */
static void dir_opens_no_stranger(void **state)
{
    const struct fixture *fixture = *state;
    struct opened dir;

    assert_return_code(mkfifo(path_in(fixture, LEFT ".receiving"), 0600), errno);
    dir = sink_open(NULL, "dir:%s", fixture->directory);
    sink_close(&dir);
    assert_true(file_exists(path_in(fixture, LEFT ".receiving")));
}

static void file_moves_what_was_left_unfinished(void **state)
{
    const struct fixture *fixture = *state;
    char note[500] = "", name[300];
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .note = take_note,
                                            .note_context = note};
    struct opened file;

    file_write(path_in(fixture, "received.receiving"), "half", 4);
    file = sink_open(&options, "file:%s", path_in(fixture, "received"));
    assert_non_null(strstr(note, path_in(fixture, "received")));
    assert_int_equal(1, count_names(fixture, ".partial", name, sizeof(name)));
    expect_file(path_in(fixture, name), "half", 4);
    assert_int_equal(LB_END_EOF, send_bytes(&file, "whole", 5));
    sink_close(&file);
    expect_file(path_in(fixture, "received"), "whole", 5);
}

/* A server that was killed while it added "half": some of that is in the file, and its mark. */
static void check_recovery(const struct fixture *fixture, const char *before, const char *after,
                           const char *word)
{
    const char *path = path_in(fixture, "received");
    char note[500] = "";
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .append = true, .note = take_note,
                                            .note_context = note};
    struct opened file;

    file_write(path, before, strlen(before));
    file_write(path_in(fixture, "received.appending-6+4"), "", 0);
    file = sink_open(&options, "file:%s", path);
    if (word ? !strstr(note, word) : note[0])
        fail_msg("\"%s\" does not say \"%s\"", note, word ? word : "");
    assert_int_equal(1, count_names(fixture, "", NULL, 0));
    sink_close(&file);
    expect_file(path, after, strlen(after));
}

static void append_takes_out_what_was_not_added_whole(void **state)
{
    const struct fixture *fixture = *state;
    struct opened file;

    check_recovery(fixture, "whole ", "whole ", NULL);
    check_recovery(fixture, "whole ha", "whole ", "2 bytes");
    check_recovery(fixture, "whole half", "whole ", "4 bytes");
    /* Somebody else has gone on. */
    check_recovery(fixture, "whole half and more", "whole half and more", "first 6 bytes");
    /* A new file: the mark goes. */
    assert_return_code(unlink(path_in(fixture, "received")), errno);
    file_write(path_in(fixture, "received.appending-6+4"), "", 0);
    file = sink_open(&append, "file:%s", path_in(fixture, "received"));
    sink_close(&file);
    assert_int_equal(0, count_names(fixture, "", NULL, 0));
}

/* Of what only looks like a mark nothing follows. */
static void append_follows_no_strangers_mark(void **state)
{
    const char *const names[] = {"received.appending-6", "received.appending-6+",
                                 "received.appending-06+4", "received.appending-6+4x",
                                 "other.appending-6+4"};
    const struct fixture *fixture = *state;
    struct opened file;

    file_write(path_in(fixture, "received"), "whole half", 10);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        file_write(path_in(fixture, names[i]), "", 0);
    file_write(path_in(fixture, "received.appending-5+5"), "not empty", 9);
    if (geteuid() == 0) {
        file_write(path_in(fixture, "received.appending-6+4"), "", 0);
        assert_return_code(chown(path_in(fixture, "received.appending-6+4"), 65534, 65534), errno);
    }
    file = sink_open(&append, "file:%s", path_in(fixture, "received"));
    sink_close(&file);
    expect_file(path_in(fixture, "received"), "whole half", 10);
}

/* Until it is refused: at first the stream has not begun. */
static int open_another(struct exchange *exchange)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    const struct lb_sink *sink;
    void *context;
    char specification[300];
    int rc = 0;

    snprintf(specification, sizeof(specification), "file:%s", (const char *)exchange->argument);
    while (rc == 0 && time_now_ns() < deadline) {
        rc = lb_sink_open(&sink, &context, specification, NULL, NULL);
        if (rc == 0)
            lb_sink_close(sink, context);
    }
    return rc == -EBUSY ? 0 : -EPROTO;
}

static void file_that_is_received_into_is_not_left(void **state)
{
    const char *path = path_in(*state, "received");
    struct opened file = sink_open(NULL, "file:%s", path);
    struct exchange exchange = {
        .data = "x", .size = 1, .before_end = open_another, .argument = path};

    assert_int_equal(LB_END_EOF, exchange_run(&exchange, &file));
    assert_int_equal(0, exchange.result);
    exchange_free(&exchange);
    sink_close(&file);
    expect_file(path, "x", 1);
}

const struct CMUnitTest left_tests[] = {
    FIXTURE_TEST(dir_keeps_what_was_left_unfinished),
    FIXTURE_TEST(dir_leaves_the_living_alone),
    FIXTURE_TEST(dir_takes_back_what_it_has_just_made),
    FIXTURE_TEST(dir_does_not_mind_a_locked_directory),
    FIXTURE_TEST(dir_opens_no_stranger),
    FIXTURE_TEST(file_moves_what_was_left_unfinished),
    FIXTURE_TEST(append_takes_out_what_was_not_added_whole),
    FIXTURE_TEST(append_follows_no_strangers_mark),
    FIXTURE_TEST(file_that_is_received_into_is_not_left),
};
const size_t left_test_count = sizeof(left_tests) / sizeof(left_tests[0]);
