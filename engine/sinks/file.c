/* SPDX-License-Identifier: MIT */
/* file: one stream into one file, or each complete stream at the end of one file. */
#include "direct.h"
#include "error.h"
#include "output.h"
#include "partial.h"
#include "sinks.h"
#include "stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct file_context {
    char *name; /* in the directory */
    int directory_fd;
    struct lb_direct *direct; /* NULL: through the page cache */
    bool append;
    bool fsync;
    bool used; /* had its one stream */
};

struct file_state {
    struct lb_partial partial;
    struct lb_direct_slots *slots; /* NULL: written the ordinary way */
};

/* Locks the file as being received into. False if a process that begins just now has taken it for
 * one that was left, see tidy, and has renamed it. Only such a one may hold the lock, and it does
 * not for long. */
static bool claim(const struct lb_partial *partial)
{
    char temporary[NAME_MAX + 1];
    struct stat made, named;

    flock(partial->fd, LOCK_EX);
    return lb_partial_name(temporary, partial->name, LB_RECEIVING_SUFFIX) == 0 &&
           fstat(partial->fd, &made) == 0 &&
           fstatat(partial->directory_fd, temporary, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           made.st_dev == named.st_dev && made.st_ino == named.st_ino;
}

static int file_open(struct lb_stream *stream, void *context)
{
    struct file_context *sink = context;
    struct file_state *state = lb_stream_state(stream);
    int rc;

    if (sink->used && !sink->append)
        return -EEXIST;
    rc = lb_partial_open(&state->partial, sink->directory_fd, sink->name);
    while (rc == 0 && !claim(&state->partial)) {
        lb_partial_close(&state->partial);
        rc = lb_partial_open(&state->partial, sink->directory_fd, sink->name);
    }
    sink->used = sink->used || rc == 0;
    if (rc == 0 && sink->direct)
        state->slots = lb_direct_claim(sink->direct, state->partial.fd);
    return rc;
}

static ssize_t file_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct file_state *state = lb_stream_state(stream);
    int rc = 0;

    (void)context;
    if (state->slots)
        lb_direct_put(state->slots, size);
    else
        rc = lb_file_write(state->partial.fd, data, size);
    return rc < 0 ? rc : (ssize_t)size;
}

static ssize_t file_place(struct lb_stream *stream, void *context, void **data)
{
    const struct file_state *state = lb_stream_state(stream);

    (void)context;
    return state->slots ? lb_direct_place(state->slots, stream, data) : -EOPNOTSUPP;
}

static int file_target(struct lb_stream *stream, void *context)
{
    const struct file_state *state = lb_stream_state(stream);

    (void)context;
    return state->partial.fd;
}

/* Where copy_file_range can't: between some file systems, or not on this one. */
static int copy_by_hand(int from, int to, off_t position, off_t done)
{
    uint8_t buffer[32 * 1024];

    if (lseek(to, position + done, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        ssize_t got = pread(from, buffer, sizeof(buffer), done);
        int rc;

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        rc = lb_file_write(to, buffer, (size_t)got);
        if (rc < 0)
            return rc;
        done += got;
    }
}

/* Copies all of from to position in to. */
static int copy(int from, int to, off_t position, off_t size)
{
    off_t done = 0;

    while (done < size) {
        off_t target = position + done;
        ssize_t got = copy_file_range(from, &(off_t){done}, to, &target, (size_t)(size - done), 0);

        if (got < 0 && errno == EINTR)
            continue;
        /* Some kernels say 0 where they mean that they can't (copy_file_range(2), BUGS). */
        if (got == 0 || (got < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS ||
                                     errno == EOPNOTSUPP)))
            return copy_by_hand(from, to, position, done);
        if (got < 0)
            return -errno;
        done += got;
    }
    return 0;
}

/* Some file systems tell of a failed write at close only; every close of a copy asks them too, and
 * leaves us a descriptor to undo the write with. */
static int flush_errors(int fd)
{
    int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return duplicate < 0 || close(duplicate) < 0 ? -errno : 0;
}

/* All of from is at the end of to, or none of it. */
static int append_whole(int from, int to, bool sync)
{
    struct stat source;
    struct stat target;
    int rc;

    if (fstat(from, &source) < 0 || fstat(to, &target) < 0)
        return -errno;
    rc = copy(from, to, target.st_size, source.st_size);
    if (rc == 0)
        rc = flush_errors(to);
    if (rc == 0 && sync && fsync(to) < 0)
        rc = -errno;
    if (rc < 0 && ftruncate(to, target.st_size) < 0)
        return -errno;
    return rc;
}

/* Moves a stream's bytes that are not at the end of the file out of the next stream's way. */
static int set_aside(const struct file_context *sink, const char *temporary)
{
    char stamp[LB_STAMP_SIZE];
    char name[NAME_MAX + 1];

    lb_stamp_make(stamp);
    if (snprintf(name, sizeof(name), "%s.%s" LB_PARTIAL_SUFFIX, sink->name, stamp) > NAME_MAX)
        return -ENAMETOOLONG;
    return lb_rename_new(sink->directory_fd, temporary, name);
}

static int publish(struct lb_partial *partial, bool sync)
{
    int rc = lb_partial_publish(partial, sync);

    return rc == 0 && sync ? LB_UNSETTLED : rc;
}

/* The first stream becomes the file. */
static int publish_first(const struct file_context *sink, struct lb_partial *partial,
                         const char *temporary, bool sync)
{
    int rc = publish(partial, sync);

    if (rc < 0)
        set_aside(sink, temporary);
    return rc;
}

static int append(const struct file_context *sink, struct lb_partial *partial, bool complete,
                  bool sync)
{
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, sink->name, LB_RECEIVING_SUFFIX);
    int closed;
    int fd;

    if (rc == 0 && complete) {
        /* Not O_APPEND: copy_file_range refuses it. */
        fd = openat(sink->directory_fd, sink->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            return publish_first(sink, partial, temporary, sync);
        rc = fd < 0 ? -errno : append_whole(partial->fd, fd, sync);
        if (fd >= 0)
            close(fd);
    }
    closed = lb_partial_close(partial);
    if (rc < 0 || !complete) {
        int aside = set_aside(sink, temporary);

        return rc < 0 ? rc : closed < 0 ? closed : aside;
    }
    if (unlinkat(sink->directory_fd, temporary, 0) == 0)
        return 0;
    rc = -errno;
    set_aside(sink, temporary);
    return rc;
}

static int file_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct file_context *sink = context;
    struct file_state *state = lb_stream_state(stream);
    int flushed = state->slots ? lb_direct_flush(state->slots) : 0;
    bool complete = end == LB_END_EOF && flushed == 0;
    bool sync = sink->fsync && lb_stream_receipt(stream);
    int rc;

    if (sink->append) {
        rc = append(sink, &state->partial, complete, sync);
    } else if (!complete) {
        rc = lb_partial_keep(&state->partial);
    } else {
        rc = publish(&state->partial, sync);
        if (rc < 0)
            lb_partial_set_apart(&state->partial);
    }
    return flushed < 0 ? flushed : rc;
}

static int file_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    const struct file_context *sink = context;
    int rc = lb_directory_sync(sink->directory_fd);

    for (size_t i = 0; rc < 0 && i < count; i++) {
        const struct file_state *state = lb_stream_state(streams[i]);

        lb_partial_withdraw(&state->partial);
    }
    return rc;
}

/* A stream that a process which died did not end is moved out of the way. */
static int tidy(const struct file_context *sink, const char *path,
                const struct lb_sink_options *options, struct lb_error *error)
{
    char temporary[NAME_MAX + 1], text[PATH_MAX + 100];
    int rc = lb_partial_name(temporary, sink->name, LB_RECEIVING_SUFFIX);
    int fd = openat(sink->directory_fd, temporary, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        rc = lb_error_set(error, -EBUSY,
                          "file:%s: another process receives into it; use another name", path);
    else if (rc == 0)
        rc = set_aside(sink, temporary);
    if (fd >= 0)
        close(fd);
    if (rc == -EBUSY)
        return rc;
    if (rc < 0)
        return lb_error_set(error, rc,
                            "file:%s: \"%s%s\" is left of an earlier run and can't be moved away: "
                            "%s; move or remove it",
                            path, path, LB_RECEIVING_SUFFIX, strerror(-rc));
    if (options && options->note) {
        snprintf(text, sizeof(text),
                 "file:%s: a stream that an earlier run has left unfinished: kept as %s.*%s", path,
                 path, LB_PARTIAL_SUFFIX);
        options->note(options->note_context, LB_NOTE_WARNING, text);
    }
    return 0;
}

/* Refuses a path that the first stream would fail on. */
static int check(const struct file_context *sink, const char *path, struct lb_error *error)
{
    char temporary[NAME_MAX + 1];
    struct stat status;

    if (lb_partial_name(temporary, sink->name, LB_RECEIVING_SUFFIX) < 0)
        return lb_error_set(error, -ENAMETOOLONG,
                            "file:%s: the name is too long; at most %zu bytes", path,
                            NAME_MAX - strlen(LB_RECEIVING_SUFFIX));
    lb_partial_name(temporary, sink->name, LB_PARTIAL_SUFFIX);
    if (fstatat(sink->directory_fd, sink->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISREG(status.st_mode))
            return lb_error_set(error, -EINVAL,
                                "file:%s: it exists and is not a regular file; use another name%s",
                                path, S_ISDIR(status.st_mode) ? ", or the sink dir:PATH" : "");
        if (!sink->append)
            return lb_error_set(error, -EEXIST,
                                "file:%s: it exists already; move it away, use another name, or "
                                "append to it (--append)",
                                path);
        if (faccessat(sink->directory_fd, sink->name, W_OK, AT_EACCESS) < 0)
            return lb_error_set(error, -errno, "file:%s: can't be appended to: %m", path);
    }
    if (fstatat(sink->directory_fd, temporary, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return lb_error_set(error, -EEXIST,
                            "file:%s: \"%s%s\" is left of an earlier stream that was not complete; "
                            "look at it, then move or remove it",
                            path, path, LB_PARTIAL_SUFFIX);
    return 0;
}

static void file_teardown(void *context)
{
    struct file_context *sink = context;

    if (sink->directory_fd >= 0)
        close(sink->directory_fd);
    lb_direct_close(sink->direct);
    free(sink->name);
    free(sink);
}

/* Takes path apart: the directory is opened, the name is kept. */
static int split(struct file_context *sink, const char *path, struct lb_error *error)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    char *directory = slash ? strndup(path, length ? length : 1) : strdup(".");

    sink->name = strdup(slash ? slash + 1 : path);
    if (!directory || !sink->name) {
        free(directory);
        return lb_error_set(error, -ENOMEM, "file: out of memory");
    }
    sink->directory_fd = lb_directory_open(directory, "file", path, error);
    free(directory);
    return sink->directory_fd < 0 ? sink->directory_fd : 0;
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
    sink->append = options && options->append;
    sink->fsync = !options || !options->no_fsync;
    sink->directory_fd = -1;
    rc = split(sink, argument, error);
    if (rc == 0)
        rc = check(sink, argument, error);
    if (rc == 0)
        rc = tidy(sink, argument, options, error);
    if (rc == 0 && options && options->direct)
        rc = lb_direct_open(&sink->direct, sink->directory_fd, 1, "file", argument, error);
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

    return sink->directory_fd;
}

static int file_check(void *context, struct lb_error *error)
{
    const struct file_context *sink = context;
    int rc = lb_directory_check(sink->directory_fd, error);

    if (rc == 0 && sink->append &&
        faccessat(sink->directory_fd, sink->name, W_OK, AT_EACCESS) < 0 && errno != ENOENT)
        rc = lb_error_set(error, -errno,
                          "the file can't be appended to: %m; make it writable "
                          "(chown)");
    return rc;
}

const struct lb_builtin lb_sink_file = {
    .sink =
        {
            .name = "file",
            .state_size = sizeof(struct file_state),
            .flags = LB_SINK_SERIAL | LB_SINK_SLOW_END,
            .needs = LB_NEEDS_DIRECTORY,
            .descriptors = 3, /* its file; and to append, that and a duplicate of it */
            .threads = LB_DIRECT_THREADS,
            .open = file_open,
            .write = file_write,
            .target = file_target,
            .place = file_place,
            .end = file_end,
            .settle = file_settle,
            .directory = file_directory,
            .check = file_check,
        },
    .argument = "PATH",
    .help = "one stream into one file",
    .options = LB_OPTION_APPEND | LB_OPTION_DIRECT | LB_OPTION_NO_FSYNC,
    .setup = file_setup,
    .teardown = file_teardown,
};
