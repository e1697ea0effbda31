/* SPDX-License-Identifier: MIT */
/* file: one stream into one file, or each complete stream at the end of one file. */
#include "append.h"
#include "direct.h"
#include "error.h"
#include "sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file_context {
    struct lb_directory directory; /* first */
    char *name;                    /* in the directory */
    bool append;
    struct lb_append file; /* to append to */
    bool used;             /* had its one stream */
};

struct file_state {
    struct lb_landing landing; /* first */
};

static int file_open(struct lb_stream *stream, void *context)
{
    struct file_context *sink = context;
    int rc;

    if (sink->used && !sink->append)
        return -EEXIST;
    if (sink->file.failed < 0)
        return sink->file.failed;
    do {
        rc = lb_landing_open(stream, &sink->directory, sink->name);
    } while (rc == -EAGAIN);
    sink->used = sink->used || rc == 0;
    return rc;
}

static int file_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct file_context *sink = context;
    struct file_state *state = lb_stream_state(stream);
    int flushed, rc;

    if (!sink->append)
        return lb_landing_end(stream, context, end);
    flushed = lb_landing_flush(&state->landing);
    rc = lb_append_end(&sink->file, &state->landing, stream, end == LB_END_EOF && flushed == 0);
    return flushed < 0 ? flushed : rc;
}

/* A stream that a process which died did not end is moved out of the way. */
static int tidy(const struct file_context *sink, const char *path, struct lb_error *error)
{
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, sink->name, LB_RECEIVING_SUFFIX);
    int fd = lb_partial_open_left(&sink->directory, temporary);

    if (fd == -ENOENT)
        return 0;
    if (fd == -EBUSY)
        return lb_error_set(error, -EBUSY,
                            "file:%s: another process receives into it; use another name", path);
    if (rc == 0)
        rc = lb_append_set_aside(&sink->directory, sink->name);
    if (fd >= 0)
        close(fd);
    if (rc < 0)
        return lb_error_set(error, rc,
                            "file:%s: \"%s%s\" is left of an earlier run and can't be moved away: "
                            "%s; move or remove it",
                            path, path, LB_RECEIVING_SUFFIX, strerror(-rc));
    lb_directory_tell(&sink->directory,
                      "a stream that an earlier run has left unfinished: kept as %s.*%s", path,
                      LB_PARTIAL_SUFFIX);
    return 0;
}

/* Refuses a path that the first stream would fail on. */
static int check(const struct file_context *sink, const char *path, struct lb_error *error)
{
    const size_t longest =
        sink->append ? LB_APPEND_NAME_MAX : NAME_MAX - strlen(LB_RECEIVING_SUFFIX);
    char temporary[NAME_MAX + 1];
    struct stat status;

    if (strlen(sink->name) > longest)
        return lb_error_set(error, -ENAMETOOLONG,
                            "file:%s: the name is too long; at most %zu bytes", path, longest);
    lb_partial_name(temporary, sink->name, LB_PARTIAL_SUFFIX);
    if (fstatat(sink->directory.fd, sink->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISREG(status.st_mode))
            return lb_error_set(error, -EINVAL,
                                "file:%s: it exists and is not a regular file; use another name%s",
                                path, S_ISDIR(status.st_mode) ? ", or the sink dir:PATH" : "");
        if (!sink->append)
            return lb_error_set(error, -EEXIST,
                                "file:%s: it exists already; move it away, use another name, or "
                                "append to it (--append)",
                                path);
        if (faccessat(sink->directory.fd, sink->name, W_OK, AT_EACCESS) < 0)
            return lb_error_set(error, -errno, "file:%s: can't be appended to: %m", path);
        if (lb_append_why_not(&status, false))
            return lb_error_set(error, -EPERM,
                                "file:%s: %s, so nothing is added to it; use another name", path,
                                lb_append_why_not(&status, false));
    }
    if (fstatat(sink->directory.fd, temporary, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return lb_error_set(error, -EEXIST,
                            "file:%s: \"%s%s\" is left of an earlier stream that was not complete; "
                            "look at it, then move or remove it",
                            path, path, LB_PARTIAL_SUFFIX);
    return 0;
}

static void file_teardown(void *context)
{
    struct file_context *sink = context;

    lb_directory_close(&sink->directory);
    free(sink->name);
    free(sink);
}

/* Takes path apart: the directory is opened, the name is kept. On failure nothing is left behind.
 */
static int split(struct file_context *sink, const char *path, const struct lb_sink_options *options,
                 struct lb_error *error)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    char *directory = slash ? strndup(path, length ? length : 1) : strdup(".");
    int rc = -ENOMEM;

    sink->name = strdup(slash ? slash + 1 : path);
    if (directory && sink->name)
        rc = lb_directory_open(&sink->directory, directory, "file", path, options, 1, error);
    else
        lb_error_set(error, rc, "file: out of memory");
    free(directory);
    if (rc < 0)
        free(sink->name);
    return rc;
}

static int file_setup(void **context, const char *argument, const struct lb_sink_options *options,
                      struct lb_error *error)
{
    struct file_context *sink;
    int rc;

    if (argument[strlen(argument) - 1] == '/')
        return lb_error_set(error, -EINVAL,
                            "file:%s: that names a directory; name a file in it, or use the sink "
                            "dir:PATH",
                            argument);
    sink = calloc(1, sizeof(*sink));
    if (!sink)
        return lb_error_set(error, -ENOMEM, "file: out of memory");
    sink->append = options->append;
    rc = split(sink, argument, options, error);
    if (rc < 0) {
        free(sink);
        return rc;
    }
    rc = check(sink, argument, error);
    if (rc == 0)
        rc = tidy(sink, argument, error);
    if (rc == 0 && sink->append)
        rc = lb_append_open(&sink->file, &sink->directory, sink->name, error);
    if (rc < 0) {
        file_teardown(sink);
        return rc;
    }
    *context = sink;
    return 0;
}

static int file_directory(void *context)
{
    const struct file_context *sink = context;

    return sink->directory.fd;
}

static int file_check(void *context, struct lb_error *error)
{
    const struct file_context *sink = context;
    int rc = lb_directory_check_rights(&sink->directory, error);

    if (rc == 0 && sink->append &&
        faccessat(sink->directory.fd, sink->name, W_OK, AT_EACCESS) < 0 && errno != ENOENT)
        rc = lb_error_set(error, -errno,
                          "the file can't be appended to: %m; make it writable "
                          "(chown)");
    return rc;
}

const struct lb_builtin lb_sink_file = {
    .sink =
        {
            LB_SINK_INIT,
            .name = "file",
            .state_size = sizeof(struct file_state),
            .flags = LB_SINK_SERIAL | LB_SINK_SLOW_END,
            .needs = LB_NEEDS_DIRECTORY,
            .descriptors = 3, /* its file; and to append, that and a duplicate of it */
            .threads = LB_DIRECT_THREADS,
            .open = file_open,
            .write = lb_landing_write,
            .target = lb_landing_target,
            .place = lb_landing_place,
            .end = file_end,
            .settle = lb_landing_settle,
            .directory = file_directory,
            .check = file_check,
            .timing = lb_landing_timing,
        },
    .argument = "PATH",
    .help = "one stream into one file",
    .options = LB_OPTION_APPEND | LB_OPTION_DIRECT | LB_OPTION_NO_FSYNC,
    .setup = file_setup,
    .teardown = file_teardown,
};
