/* SPDX-License-Identifier: MIT */
/* dir: a file for each stream, under a name that the server makes. */
#include "direct.h"
#include "error.h"
#include "output.h"
#include "partial.h"
#include "sinks.h"
#include "stamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 40, LOCK_PAUSE_NS = 50000000 };

struct dir_context {
    int directory_fd;         /* with a shared lock for as long as somebody may write here */
    struct lb_direct *direct; /* NULL: through the page cache */
    bool fsync;
};

/* So many at a time are written past the page cache, each with 4 MiB of slots; what comes in such a
 * crowd beside them is written the ordinary way. */
enum { DIRECT_STREAMS = 16 };

struct dir_state {
    struct lb_partial partial;
    struct lb_direct_slots *slots; /* NULL: written the ordinary way */
    char name[LB_STAMP_SIZE];
};

static int dir_open(struct lb_stream *stream, void *context)
{
    const struct dir_context *sink = context;
    struct dir_state *state = lb_stream_state(stream);
    int rc;

    /* Another process may have taken the name; each try makes a new one. */
    do {
        lb_stamp_make(state->name);
        rc = lb_partial_open(&state->partial, sink->directory_fd, state->name);
    } while (rc == -EEXIST);
    if (rc == 0 && sink->direct)
        state->slots = lb_direct_claim(sink->direct, state->partial.fd);
    return rc;
}

static ssize_t dir_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct dir_state *state = lb_stream_state(stream);
    int rc = 0;

    (void)context;
    if (state->slots)
        lb_direct_put(state->slots, size);
    else
        rc = lb_file_write(state->partial.fd, data, size);
    return rc < 0 ? rc : (ssize_t)size;
}

static ssize_t dir_place(struct lb_stream *stream, void *context, void **data)
{
    const struct dir_state *state = lb_stream_state(stream);

    (void)context;
    return state->slots ? lb_direct_place(state->slots, stream, data) : -EOPNOTSUPP;
}

static int dir_target(struct lb_stream *stream, void *context)
{
    const struct dir_state *state = lb_stream_state(stream);

    (void)context;
    return state->partial.fd;
}

static int dir_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct dir_context *sink = context;
    struct dir_state *state = lb_stream_state(stream);
    bool sync = sink->fsync && lb_stream_receipt(stream);
    int flushed = state->slots ? lb_direct_flush(state->slots) : 0;
    int rc;

    if (end != LB_END_EOF || flushed < 0) {
        rc = lb_partial_keep(&state->partial);
        return flushed < 0 ? flushed : rc;
    }
    rc = lb_partial_publish(&state->partial, sync);
    if (rc < 0)
        lb_partial_set_apart(&state->partial);
    return rc == 0 && sync ? LB_UNSETTLED : rc;
}

static int dir_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    const struct dir_context *sink = context;
    int rc = lb_directory_sync(sink->directory_fd);

    for (size_t i = 0; rc < 0 && i < count; i++) {
        const struct dir_state *state = lb_stream_state(streams[i]);

        lb_partial_withdraw(&state->partial);
    }
    return rc;
}

static const char *dir_receipt_id(struct lb_stream *stream, void *context)
{
    const struct dir_state *state = lb_stream_state(stream);

    (void)context;
    return state->name;
}

static void dir_teardown(void *context)
{
    struct dir_context *sink = context;

    if (sink->directory_fd >= 0)
        close(sink->directory_fd);
    lb_direct_close(sink->direct);
    free(sink);
}

/* Streams that a process which died did not end: their files become NAME.partial. Returns how many,
 * or -errno. Nobody writes here meanwhile. */
static int tidy(const struct dir_context *sink)
{
    const size_t suffix = strlen(LB_RECEIVING_SUFFIX);
    int fd = openat(sink->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int count = 0;

    if (!directory) {
        int rc = -errno;

        if (fd >= 0)
            close(fd);
        return rc;
    }
    while ((entry = readdir(directory))) {
        size_t length = strlen(entry->d_name);
        char name[NAME_MAX + 1];

        if (length <= suffix || !lb_stamp_matches(entry->d_name, length - suffix) ||
            strcmp(entry->d_name + length - suffix, LB_RECEIVING_SUFFIX) != 0)
            continue;
        snprintf(name, sizeof(name), "%.*s" LB_PARTIAL_SUFFIX, (int)(length - suffix),
                 entry->d_name);
        count += lb_rename_new(sink->directory_fd, entry->d_name, name) == 0;
    }
    closedir(directory);
    return count;
}

static void tell_tidied(const char *path, int count, const struct lb_sink_options *options)
{
    char text[PATH_MAX + 100];

    if (count == 0 || !options || !options->note)
        return;
    if (count < 0)
        snprintf(text, sizeof(text),
                 "dir:%s: can't be looked through for what is left of earlier "
                 "runs: %s",
                 path, strerror(-count));
    else
        snprintf(text, sizeof(text),
                 "dir:%s: %d stream%s that an earlier run has left unfinished: kept as *%s", path,
                 count, count == 1 ? "" : "s", LB_PARTIAL_SUFFIX);
    options->note(options->note_context, LB_NOTE_WARNING, text);
}

/* Everyone who may write here holds the directory's lock as shared. So who gets it as exclusive is
 * alone, and may tidy. Where there are no such locks (some network file systems) nobody ever is. */
static int lock(const struct dir_context *sink, const char *path,
                const struct lb_sink_options *options, struct lb_error *error)
{
    const struct timespec moment = {.tv_nsec = LOCK_PAUSE_NS};

    if (flock(sink->directory_fd, LOCK_EX | LOCK_NB) == 0)
        tell_tidied(path, tidy(sink), options);
    for (int i = 0; flock(sink->directory_fd, LOCK_SH | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK)
            return 0;
        /* Another one tidies, which takes a moment. */
        if (i == LOCK_TRIES)
            return lb_error_set(error, -EBUSY,
                                "dir:%s: another program has locked it; use another directory",
                                path);
        nanosleep(&moment, NULL);
    }
    return 0;
}

static int dir_setup(void **context, const char *argument, const struct lb_sink_options *options,
                     struct lb_error *error)
{
    struct dir_context *sink = calloc(1, sizeof(*sink));
    int rc;

    if (!sink)
        return lb_error_set(error, -ENOMEM, "dir: out of memory");
    sink->fsync = !options || !options->no_fsync;
    sink->directory_fd = lb_directory_open(argument, "dir", argument, error);
    rc = sink->directory_fd < 0 ? sink->directory_fd : lock(sink, argument, options, error);
    if (rc == 0 && options && options->direct)
        rc = lb_direct_open(&sink->direct, sink->directory_fd, DIRECT_STREAMS, "dir", argument,
                            error);
    if (rc < 0) {
        dir_teardown(sink);
        return rc;
    }
    *context = sink;
    return 0;
}

static int dir_directory(void *context)
{
    const struct dir_context *sink = context;

    return sink->directory_fd;
}

static int dir_check(void *context, struct lb_error *error)
{
    return lb_directory_check(dir_directory(context), error);
}

const struct lb_builtin lb_sink_dir = {
    .sink =
        {
            .name = "dir",
            .state_size = sizeof(struct dir_state),
            .flags = LB_SINK_SLOW_END,
            .needs = LB_NEEDS_DIRECTORY,
            .descriptors = 1, /* its file */
            .threads = LB_DIRECT_THREADS,
            .open = dir_open,
            .write = dir_write,
            .target = dir_target,
            .place = dir_place,
            .end = dir_end,
            .settle = dir_settle,
            .receipt_id = dir_receipt_id,
            .directory = dir_directory,
            .check = dir_check,
        },
    .argument = "PATH",
    .help = "a file per stream, named by time and sequence",
    .options = LB_OPTION_DIRECT | LB_OPTION_NO_FSYNC,
    .setup = dir_setup,
    .teardown = dir_teardown,
};
