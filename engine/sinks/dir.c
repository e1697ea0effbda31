/* SPDX-License-Identifier: MIT */
/* dir: a file for each stream, under a name that the server makes. */
#include "../error.h"
#include "../stamp.h"
#include "landing.h"
#include "sinks.h"

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

/* So many at a time are written past the page cache, each with 4 MiB of slots; what comes in such a
 * crowd beside them is written the ordinary way. */
enum { DIRECT_STREAMS = 16 };

/* With a shared lock of the directory for as long as somebody may write there. */
struct dir_context {
    struct lb_directory directory; /* first */
};

struct dir_state {
    struct lb_landing landing; /* first */
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
        rc = lb_landing_open(&state->landing, &sink->directory, state->name);
    } while (rc == -EEXIST || rc == -EAGAIN);
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

    lb_directory_close(&sink->directory);
    free(sink);
}

/* Streams that a process which died did not end: their files become NAME.partial. Returns how many,
 * or -errno. Nobody writes here meanwhile. */
static int tidy(const struct dir_context *sink)
{
    const size_t suffix = strlen(LB_RECEIVING_SUFFIX);
    int fd = openat(sink->directory.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
        count += lb_directory_rename(&sink->directory, entry->d_name, name) == 0;
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

    if (flock(sink->directory.fd, LOCK_EX | LOCK_NB) == 0)
        tell_tidied(path, tidy(sink), options);
    for (int i = 0; flock(sink->directory.fd, LOCK_SH | LOCK_NB) < 0; i++) {
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
    rc = lb_directory_open(&sink->directory, argument, "dir", argument, options, DIRECT_STREAMS,
                           error);
    if (rc < 0) {
        free(sink);
        return rc;
    }
    rc = lock(sink, argument, options, error);
    if (rc < 0) {
        dir_teardown(sink);
        return rc;
    }
    *context = sink;
    return 0;
}

const struct lb_builtin lb_sink_dir = {
    .sink =
        {
            .name = "dir",
            .state_size = sizeof(struct dir_state),
            .flags = LB_SINK_SLOW_END,
            .open = dir_open,
            .write = lb_landing_write,
            .target = lb_landing_target,
            .place = lb_landing_place,
            .end = lb_landing_end,
            .settle = lb_landing_settle,
            .receipt_id = dir_receipt_id,
        },
    .argument = "PATH",
    .setup = dir_setup,
    .teardown = dir_teardown,
};
