/* SPDX-License-Identifier: MIT */
/* A file that is called NAME.partial until its stream is complete, and NAME from then on. */
#ifndef LB_PARTIAL_H
#define LB_PARTIAL_H

#include <lastbyte/lastbyte.h>

#include <limits.h>

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

/* Fills temporary with "NAME.partial". Returns 0 or -ENAMETOOLONG. */
int lb_partial_name(char temporary[NAME_MAX + 1], const char *name);

/* Makes NAME.partial. -EEXIST if something of that name is there. */
int lb_partial_open(struct lb_partial *partial, int directory_fd, const char *name);

/* Closes the file. It keeps its temporary name. Returns -errno for a write that failed late. */
int lb_partial_keep(struct lb_partial *partial);

/* Closes the file and gives it its name. -EEXIST if something of that name is there; on any failure
 * it keeps its temporary name. */
int lb_partial_publish(struct lb_partial *partial);

/* Renames within a directory, and never over something else (-EEXIST). */
int lb_rename_new(int directory_fd, const char *from, const char *to);

#endif
