/* SPDX-License-Identifier: MIT */
/*
 * A file that gets its name once its stream is complete: it is called NAME.receiving until its end,
 * then NAME, or NAME.partial if the stream was not complete. While it is written to it is locked
 * (flock): so a NAME.receiving that isn't is left of a process that died. Nobody else may open it
 * (mode 0600), so nobody else can hold its lock.
 */
#ifndef LB_PARTIAL_H
#define LB_PARTIAL_H

#include "directory.h"

#include <limits.h>
#include <sys/types.h>

#define LB_RECEIVING_SUFFIX ".receiving"
#define LB_PARTIAL_SUFFIX ".partial"

struct lb_partial {
    struct lb_directory *directory; /* borrowed */
    const char *name;               /* NAME; borrowed */
    int fd;                         /* readable and writable */
    dev_t device;                   /* which file it is */
    ino_t inode;
};

/* Fills result with NAME and a suffix. Returns 0 or -ENAMETOOLONG. */
int lb_partial_name(char result[NAME_MAX + 1], const char *name, const char *suffix);

/* Makes NAME.receiving, and locks it. -EEXIST if something of that name is there. A process that
 * began just now may have taken it for one that was left: called NAME.partial it is taken back, and
 * under any other name it is -EAGAIN. */
int lb_partial_open(struct lb_partial *partial, struct lb_directory *directory, const char *name);

/* A file NAME.receiving that a process which died has left: returns a descriptor of it, which keeps
 * other processes from tidying too. -EBUSY if somebody writes to it. */
int lb_partial_open_left(const struct lb_directory *directory, const char *temporary);

/* Closes the file. It keeps the name NAME.receiving. Returns -errno for a write that failed late.
 */
int lb_partial_close(struct lb_partial *partial);

/* Closes and removes it. */
int lb_partial_remove(struct lb_partial *partial);

/* Calls the file NAME.partial, once it is closed. */
int lb_partial_set_apart(const struct lb_partial *partial);

/* Both. */
int lb_partial_keep(struct lb_partial *partial);

/* Closes the file and gives it its name; with sync, after its bytes are on the disk. -EEXIST if
 * something of that name is there. On any failure it is closed, and is NAME.receiving still. */
int lb_partial_publish(struct lb_partial *partial, bool sync);

/* After publish: takes the name away again, and calls the file NAME.partial. A failure is told. */
void lb_partial_withdraw(const struct lb_partial *partial);

#endif
