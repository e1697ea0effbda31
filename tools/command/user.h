/* SPDX-License-Identifier: MIT */
#ifndef USER_H
#define USER_H

#include <sys/types.h>

/* Whom a process that was started as root becomes. */
struct user {
    const char *text; /* as it was given */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* all of them */
    size_t group_count;
};

/* Looks up NAME[:GROUP], names or numbers. NAME alone brings all its groups, with GROUP it has that
 * one alone. Returns an exit status after telling what is wrong. */
int user_find(struct user *user, const char *text);

/* Becomes that user for good, and makes sure that there is no way back. Call it while there is one
 * thread. Returns an exit status after telling what is wrong. */
int user_become(const struct user *user);

void user_done(struct user *user);

#endif
