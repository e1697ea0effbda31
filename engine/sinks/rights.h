/* SPDX-License-Identifier: MIT */
/* Who a process is and what it may do, so that another can become the same. */
#ifndef LB_RIGHTS_H
#define LB_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { LB_RIGHTS_GROUPS = 1024 };

struct lb_rights {
    uid_t uids[3]; /* real, effective, saved */
    gid_t gids[3];
    uint32_t capabilities[6]; /* as capget(2) has them: effective, permitted, inheritable; twice */
    int no_new_privs;
    int group_count;
    gid_t groups[LB_RIGHTS_GROUPS];
};

/* How much of it is in use, for a message. */
size_t lb_rights_size(const struct lb_rights *rights);

/* A message of that size has all that it says. */
bool lb_rights_are_whole(const struct lb_rights *rights, size_t size);

/* Those of this process. Returns 0 or -errno; -E2BIG for one with too many groups. */
int lb_rights_get(struct lb_rights *rights);

/* Gives up what is not in rights, and becomes their user. Returns 0 or -errno. */
int lb_rights_take(const struct lb_rights *rights);

#endif
