/* SPDX-License-Identifier: MIT */
/* dir: a file for each stream, under a name that the server makes. */
#include "direct.h"
#include "error.h"
#include "landing.h"
#include "sinks.h"
#include "stamp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So many at a time are written past the page cache, each with 4 MiB of slots; what comes in such a
 * crowd beside them is written the ordinary way. */
enum { DIRECT_STREAMS = 16 };

struct dir_context {
    struct lb_directory directory; /* first */
};

struct dir_state {
    struct lb_landing landing; /* first */
    char name[LB_STAMP_SIZE];
};

static int dir_open(struct lb_stream *stream, void *context)
{
    struct dir_context *sink = context;
    struct dir_state *state = lb_stream_state(stream);
    int rc;

    /* Another process may have taken the name; each try makes a new one. */
    do {
        lb_stamp_make(state->name);
        rc = lb_landing_open(stream, &sink->directory, state->name);
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

/* NAME.receiving becomes NAME.partial if nobody writes to it. Returns 1 if so, and there is a byte
 * in it, else 0: one without may be a living server's, made this moment, which takes it back. */
static int keep_left(void *context, const char *temporary)
{
    const struct lb_directory *directory = context;
    const size_t length = strlen(temporary), suffix = strlen(LB_RECEIVING_SUFFIX);
    char name[NAME_MAX + 1];
    struct stat status;
    bool kept;
    int fd;

    if (length <= suffix || !lb_stamp_matches(temporary, length - suffix) ||
        strcmp(temporary + length - suffix, LB_RECEIVING_SUFFIX) != 0)
        return 0;
    fd = lb_partial_open_left(directory, temporary);
    if (fd < 0)
        return 0;
    snprintf(name, sizeof(name), "%.*s" LB_PARTIAL_SUFFIX, (int)(length - suffix), temporary);
    kept = lb_directory_rename(directory, temporary, name) == 0 && fstat(fd, &status) == 0 &&
           status.st_size > 0;
    close(fd);
    return kept;
}

/* Keeps the streams that a process which died did not end. */
static void tidy(struct lb_directory *directory)
{
    int count = lb_directory_each(directory, keep_left, directory);

    if (count < 0)
        lb_directory_tell(directory, "can't be looked through for what is left of earlier runs: %s",
                          strerror(-count));
    else if (count > 0)
        lb_directory_tell(directory,
                          "%d stream%s that an earlier run has left unfinished: kept as *%s", count,
                          count == 1 ? "" : "s", LB_PARTIAL_SUFFIX);
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
    tidy(&sink->directory);
    *context = sink;
    return 0;
}

static int dir_directory(void *context)
{
    const struct dir_context *sink = context;

    return sink->directory.fd;
}

static int dir_check(void *context, struct lb_error *error)
{
    const struct dir_context *sink = context;

    return lb_directory_check_rights(&sink->directory, error);
}

const struct lb_builtin lb_sink_dir = {
    .sink =
        {
            LB_SINK_INIT,
            .name = "dir",
            .state_size = sizeof(struct dir_state),
            .flags = LB_SINK_SLOW_END,
            .needs = LB_NEEDS_DIRECTORY,
            .descriptors = 1, /* its file */
            .threads = LB_DIRECT_THREADS,
            .open = dir_open,
            .write = lb_landing_write,
            .target = lb_landing_target,
            .place = lb_landing_place,
            .end = lb_landing_end,
            .settle = lb_landing_settle,
            .receipt_id = dir_receipt_id,
            .directory = dir_directory,
            .check = dir_check,
            .timing = lb_landing_timing,
        },
    .argument = "PATH",
    .help = "a file per stream, named by time and sequence",
    .options = LB_OPTION_DIRECT | LB_OPTION_NO_FSYNC,
    .setup = dir_setup,
    .teardown = dir_teardown,
};
