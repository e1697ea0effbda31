/* SPDX-License-Identifier: MIT */
/* The directory that the streams of one sink land in, and what they share there. */
#ifndef LB_DIRECTORY_H
#define LB_DIRECTORY_H

#include "durations.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct lb_direct;

struct lb_directory {
    int fd;
    struct lb_direct *direct; /* NULL: through the page cache */
    bool sync;                /* before a receipt is given */
    char *called;             /* "SINK:ARGUMENT", for messages */
    void (*note)(void *context, enum lb_note_level level, const char *text);
    void *note_context;
    atomic_bool missing; /* has been told */
    _Atomic int failed;  /* -errno of a sync: final, see lb_directory_sync */
    struct lb_durations syncs;
};

/* path: the directory; sink_name and argument are for messages. direct_streams may write past the
 * page cache at a time, if options ask for that. Returns 0, or -errno with error filled and nothing
 * left behind. */
int lb_directory_open(struct lb_directory *directory, const char *path, const char *sink_name,
                      const char *argument, const struct lb_sink_options *options,
                      unsigned direct_streams, struct lb_error *error);

void lb_directory_close(struct lb_directory *directory);

/* Warns the sink's owner of something, from any thread; the text follows "SINK:ARGUMENT: ". */
void lb_directory_tell(const struct lb_directory *directory, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Is it still there? -ESTALE, which is told once, if it was removed: another one in its place may
 * be anybody's. One that was moved is still the one. */
int lb_directory_check(struct lb_directory *directory);

/* Can files still be made there? See struct lb_sink, check. */
int lb_directory_check_rights(const struct lb_directory *directory, struct lb_error *error);

/* fsync(2) of something in it, whose duration counts. Returns 0 or -errno. */
int lb_directory_fsync(struct lb_directory *directory, int fd);

/* Makes the names in it survive a crash of the machine. A failure is final, and told: the kernel
 * has dropped what it could not write, so that another try would succeed without it (fsync(2)). */
int lb_directory_sync(struct lb_directory *directory);

/* Calls visit with each name in it, until that returns < 0, which is then returned. Returns the sum
 * of what it returned, or -errno. */
int lb_directory_each(const struct lb_directory *directory,
                      int (*visit)(void *context, const char *name), void *context);

/* Renames within it, and never over something else (-EEXIST). */
int lb_directory_rename(const struct lb_directory *directory, const char *from, const char *to);

#endif
