/* SPDX-License-Identifier: MIT */
#include "user.h"

#include "command.h"
#include "console.h"
#include "value.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GROUPS_FIRST = 64 };

/* The largest number is no user and no group: it means "leave it" to the system calls. */
static bool read_id(const char *text, uint32_t *id)
{
    uint64_t number;

    if (value_count(text, &number) || number >= UINT32_MAX)
        return false;
    *id = (uint32_t)number;
    return true;
}

static int find_group(struct user *user, const char *name)
{
    const struct group *entry = getgrnam(name);

    if (!entry && !read_id(name, &user->gid)) {
        console_tell("--user=%s: there is no group %s; getent group lists them", user->text, name);
        return STATUS_USAGE;
    }
    if (entry)
        user->gid = entry->gr_gid;
    user->groups = malloc(sizeof(*user->groups));
    if (!user->groups) {
        console_tell("out of memory");
        return STATUS_NO_START;
    }
    user->groups[0] = user->gid;
    user->group_count = 1;
    return STATUS_OK;
}

static int find_groups_of(struct user *user, const char *name)
{
    int room = GROUPS_FIRST, count;

    do {
        gid_t *groups = realloc(user->groups, (size_t)room * sizeof(*groups));

        if (!groups) {
            console_tell("out of memory");
            return STATUS_NO_START;
        }
        user->groups = groups;
        count = room;
        room *= 2;
    } while (getgrouplist(name, user->gid, user->groups, &count) < 0);
    user->group_count = (size_t)count;
    return STATUS_OK;
}

static int find(struct user *user, const char *name, const char *group)
{
    const struct passwd *entry = getpwnam(name);

    if (!entry && read_id(name, &user->uid))
        entry = getpwuid(user->uid);
    else if (entry)
        user->uid = entry->pw_uid;
    else {
        console_tell("--user=%s: there is no user %s; getent passwd lists them", user->text, name);
        return STATUS_USAGE;
    }
    if (user->uid == 0) {
        console_tell("--user=%s: that is root, which it is for getting rid of; name another user",
                     user->text);
        return STATUS_USAGE;
    }
    if (group)
        return find_group(user, group);
    if (!entry) {
        console_tell("--user=%s: no entry tells the group of that number; write %s:GROUP",
                     user->text, name);
        return STATUS_USAGE;
    }
    user->gid = entry->pw_gid;
    return find_groups_of(user, entry->pw_name);
}

int user_find(struct user *user, const char *text)
{
    char *name = strdup(text);
    char *colon = name ? strchr(name, ':') : NULL;
    int status;

    *user = (struct user){.text = text};
    if (!name) {
        console_tell("out of memory");
        return STATUS_NO_START;
    }
    if (colon)
        *colon = '\0';
    status = find(user, name, colon ? colon + 1 : NULL);
    free(name);
    return status;
}

static bool has_ids(const struct user *user)
{
    uid_t uids[3];
    gid_t gids[3];

    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (uids[i] != user->uid || gids[i] != user->gid)
            return false;
    return true;
}

static bool has_group(const struct user *user, gid_t group)
{
    for (size_t i = 0; i < user->group_count; i++)
        if (user->groups[i] == group)
            return true;
    return false;
}

/* All of its ids, and its groups: the effective ones alone leave a way back. */
static bool is_already(const struct user *user)
{
    int count = getgroups(0, NULL);
    gid_t *groups = count > 0 ? malloc((size_t)count * sizeof(*groups)) : NULL;
    bool same = has_ids(user) && count >= 0 && (count == 0 || groups);

    if (same && count > 0)
        count = getgroups(count, groups);
    /* In any order, and the kernel's list may lack the effective one. */
    for (int i = 0; same && i < count; i++)
        same = has_group(user, groups[i]);
    free(groups);
    return same;
}

/* The kernel is asked again: a step that was left out in silence is how servers stay root. */
static bool is_for_good(const struct user *user)
{
    if (!has_ids(user) || (user->gid != 0 && setegid(0) == 0))
        return false;
    return seteuid(0) < 0 && setuid(0) < 0;
}

/* What systemd's AmbientCapabilities= or a file's capabilities gave is for what is open by now. By
 * number: the C library has no wrapper. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int change(const struct user *user)
{
    if (is_already(user))
        return 0;
    /* A real or saved root has the rights for it, once it is the effective one. */
    if (seteuid(0) < 0) {
        /* Then what follows says so. */
    }
    if (setgroups(user->group_count, user->groups) < 0 ||
        setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return -errno;
    return 0;
}

int user_become(const struct user *user)
{
    int rc = change(user);

    if (rc == 0)
        rc = drop_capabilities();
    if (rc < 0) {
        console_tell("--user=%s: %s%s", user->text, strerror(-rc),
                     rc == -EPERM ? "; only root can become another user: start as root, or leave "
                                    "the option out"
                                  : "");
        return STATUS_NO_START;
    }
    if (!is_for_good(user)) {
        console_tell("--user=%s: there is a way back to what it was before; does the process have "
                     "capabilities that it should not have?",
                     user->text);
        return STATUS_NO_START;
    }
    return STATUS_OK;
}

void user_done(struct user *user)
{
    free(user->groups);
    user->groups = NULL;
}
