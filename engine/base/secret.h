/* SPDX-License-Identifier: MIT */
#ifndef LB_SECRET_H
#define LB_SECRET_H

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* Can others read or write a file with a secret? Of a file that isn't ours, the group is we:
 * whoever owns it has let us read it by that, or by an ACL, which the group's bits show (acl(5)).
 * systemd passes credentials so. */
static inline bool lb_secret_is_exposed(const struct stat *status)
{
    mode_t others = S_IROTH | S_IWOTH;

    if (status->st_uid == geteuid())
        others |= S_IRGRP | S_IWGRP;
    return status->st_mode & others;
}

#endif
