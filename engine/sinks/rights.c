/* SPDX-License-Identifier: MIT */
#include "rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By number: the C library has no wrapper. */
static int get_capabilities(uint32_t capabilities[6])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

    return syscall(SYS_capget, &header, capabilities) < 0 ? -errno : 0;
}

static int set_capabilities(const uint32_t capabilities[6])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

    return syscall(SYS_capset, &header, capabilities) < 0 ? -errno : 0;
}

size_t lb_rights_size(const struct lb_rights *rights)
{
    return offsetof(struct lb_rights, groups) +
           (size_t)rights->group_count * sizeof(rights->groups[0]);
}

bool lb_rights_are_whole(const struct lb_rights *rights, size_t size)
{
    return size >= offsetof(struct lb_rights, groups) && rights->group_count >= 0 &&
           rights->group_count <= LB_RIGHTS_GROUPS && size == lb_rights_size(rights);
}

int lb_rights_get(struct lb_rights *rights)
{
    *rights = (struct lb_rights){0};
    if (getresuid(&rights->uids[0], &rights->uids[1], &rights->uids[2]) < 0 ||
        getresgid(&rights->gids[0], &rights->gids[1], &rights->gids[2]) < 0)
        return -errno;
    rights->group_count = getgroups(LB_RIGHTS_GROUPS, rights->groups);
    if (rights->group_count < 0) {
        rights->group_count = 0;
        return errno == EINVAL ? -E2BIG : -errno;
    }
    rights->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) > 0;
    return get_capabilities(rights->capabilities);
}

static int become(const struct lb_rights *rights)
{
    if (setgroups((size_t)rights->group_count, rights->groups) < 0 ||
        setresgid(rights->gids[0], rights->gids[1], rights->gids[2]) < 0 ||
        setresuid(rights->uids[0], rights->uids[1], rights->uids[2]) < 0)
        return -errno;
    return 0;
}

int lb_rights_take(const struct lb_rights *rights)
{
    struct lb_rights now;
    int rc = lb_rights_get(&now);

    if (rc == 0 &&
        (memcmp(now.uids, rights->uids, sizeof(now.uids)) != 0 ||
         memcmp(now.gids, rights->gids, sizeof(now.gids)) != 0 ||
         now.group_count != rights->group_count ||
         memcmp(now.groups, rights->groups, (size_t)now.group_count * sizeof(now.groups[0])) != 0))
        rc = become(rights);
    if (rc == 0)
        rc = get_capabilities(now.capabilities);
    if (rc == 0 && memcmp(now.capabilities, rights->capabilities, sizeof(now.capabilities)) != 0)
        rc = set_capabilities(rights->capabilities);
    if (rc == 0 && rights->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        rc = -errno;
    return rc;
}
