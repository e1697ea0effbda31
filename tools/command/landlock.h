/* SPDX-License-Identifier: MIT */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* What a rule of Landlock allows beneath a directory. */
enum landlock_use {
    LANDLOCK_USE_FILES,  /* make, read, write, rename and remove files */
    LANDLOCK_USE_REMOVE, /* remove files */
    LANDLOCK_USE_READ    /* read files */
};

/* 0 if rules would be in force here, or -errno. */
int landlock_check(void);

/* Why not, and what to do, from an error of landlock_check. A static string. */
const char *landlock_why(int error);

/* Begins a set of rules: no file may be opened, made or removed, no address bound or, unless for
 * the network, connected to, nobody outside signalled, but for what landlock_allow adds. What is
 * open already stays as it is. Returns a descriptor that the caller owns, or -errno. */
int landlock_open(bool network);

/* directory_fd may be an O_PATH one. Returns 0 or -errno. */
int landlock_allow(int rules_fd, int directory_fd, enum landlock_use use);

/* Puts the rules into force for this thread and those that it makes. Returns 0 or -errno. */
int landlock_enforce(int rules_fd);

#endif
