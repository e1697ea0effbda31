/* SPDX-License-Identifier: MIT */
/*
 * A file that gets its name once its stream is complete: it is called NAME.receiving until its end,
 * then NAME, or NAME.partial if the stream was not complete. So a NAME.receiving that no living
 * process writes to is left of one that died.
 */
#ifndef LB_PARTIAL_H
#define LB_PARTIAL_H

#include <lastbyte/lastbyte.h>

#include <limits.h>

#define LB_RECEIVING_SUFFIX ".receiving"
#define LB_PARTIAL_SUFFIX ".partial"

struct lb_partial {
    int directory_fd; /* borrowed */
    int fd;           /* readable and writable */
    const char *name; /* NAME; borrowed */
};

/* Opens the directory that files are to be made in; sink_name and argument are for the message.
 * Returns a descriptor that the caller owns, or -errno with error filled. */
int lb_directory_open(const char *path, const char *sink_name, const char *argument,
                      struct lb_error *error);

/* Can files still be made there? See struct lb_sink, check. */
int lb_directory_check(int directory_fd, struct lb_error *error);

/* Makes the names in a directory survive a crash of the machine. */
int lb_directory_sync(int directory_fd);

/* Fills result with NAME and a suffix. Returns 0 or -ENAMETOOLONG. */
int lb_partial_name(char result[NAME_MAX + 1], const char *name, const char *suffix);

/* Makes NAME.receiving. -EEXIST if something of that name is there. */
int lb_partial_open(struct lb_partial *partial, int directory_fd, const char *name);

/* Closes the file. It keeps the name NAME.receiving. Returns -errno for a write that failed late. */
int lb_partial_close(struct lb_partial *partial);

/* Calls the file NAME.partial, once it is closed. */
int lb_partial_set_apart(const struct lb_partial *partial);

/* Both. */
int lb_partial_keep(struct lb_partial *partial);

/* Closes the file and gives it its name; with sync, after its bytes are on the disk. -EEXIST if
 * something of that name is there. On any failure it is closed, and is NAME.receiving still. */
int lb_partial_publish(struct lb_partial *partial, bool sync);

/* After publish: takes the name away again, and calls the file NAME.partial. */
void lb_partial_withdraw(const struct lb_partial *partial);

/* Renames within a directory, and never over something else (-EEXIST). */
int lb_rename_new(int directory_fd, const char *from, const char *to);

#endif
