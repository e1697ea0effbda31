/* SPDX-License-Identifier: MIT */
#include "partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int lb_partial_name(char result[NAME_MAX + 1], const char *name, const char *suffix)
{
    int length = snprintf(result, NAME_MAX + 1, "%s%s", name, suffix);

    return length > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* Only a process that begins just now may hold the lock, and it does not for long. Where there are
 * no such locks (some network file systems) nothing is ever taken for left. */
static int claim(const struct lb_partial *partial, const char *temporary)
{
    struct stat made, named;

    flock(partial->fd, LOCK_EX);
    if (fstat(partial->fd, &made) < 0)
        return -errno;
    if (fstatat(partial->directory->fd, temporary, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    return made.st_dev == named.st_dev && made.st_ino == named.st_ino ? 0 : -EAGAIN;
}

int lb_partial_open(struct lb_partial *partial, const struct lb_directory *directory,
                    const char *name)
{
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, name, LB_RECEIVING_SUFFIX);
    int fd;

    if (rc < 0)
        return rc;
    fd = openat(directory->fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *partial = (struct lb_partial){.directory = directory, .name = name, .fd = fd};
    rc = claim(partial, temporary);
    if (rc < 0 && rc != -EAGAIN)
        unlinkat(directory->fd, temporary, 0);
    if (rc < 0)
        lb_partial_close(partial);
    return rc;
}

int lb_partial_close(struct lb_partial *partial)
{
    int rc = close(partial->fd) < 0 ? -errno : 0;

    partial->fd = -1;
    return rc;
}

/* From NAME with one suffix to NAME with another; the empty suffix is one. */
static int change_suffix(const struct lb_partial *partial, const char *from, const char *to)
{
    char old[NAME_MAX + 1];
    char new[NAME_MAX + 1];
    int rc = lb_partial_name(old, partial->name, from);

    if (rc == 0)
        rc = lb_partial_name(new, partial->name, to);
    return rc < 0 ? rc : lb_directory_rename(partial->directory, old, new);
}

int lb_partial_set_apart(const struct lb_partial *partial)
{
    return change_suffix(partial, LB_RECEIVING_SUFFIX, LB_PARTIAL_SUFFIX);
}

int lb_partial_keep(struct lb_partial *partial)
{
    int closed = lb_partial_close(partial);
    int rc = lb_partial_set_apart(partial);

    return closed < 0 ? closed : rc;
}

int lb_partial_publish(struct lb_partial *partial, bool sync)
{
    int rc = sync && fsync(partial->fd) < 0 ? -errno : 0;
    int closed = lb_partial_close(partial);

    if (rc == 0)
        rc = closed;
    return rc < 0 ? rc : change_suffix(partial, LB_RECEIVING_SUFFIX, "");
}

void lb_partial_withdraw(const struct lb_partial *partial)
{
    change_suffix(partial, "", LB_PARTIAL_SUFFIX);
}
