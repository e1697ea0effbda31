/* SPDX-License-Identifier: MIT */
#include "partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int lb_partial_name(char result[NAME_MAX + 1], const char *name, const char *suffix)
{
    int length = snprintf(result, NAME_MAX + 1, "%s%s", name, suffix);

    return length > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* Is the file called so? Returns 0, -ENOENT or -errno. */
static int find(const struct lb_partial *partial, const char *name)
{
    struct stat named;

    if (fstatat(partial->directory->fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return named.st_dev == partial->device && named.st_ino == partial->inode ? 0 : -ENOENT;
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

/* Is it called NAME.partial? A process that began just now, and found it without a lock, may have
 * set it apart. Returns 0, -ENOENT or -errno. */
static int find_apart(const struct lb_partial *partial)
{
    char apart[NAME_MAX + 1];
    int rc = lb_partial_name(apart, partial->name, LB_PARTIAL_SUFFIX);

    return rc < 0 ? rc : find(partial, apart);
}

/* Only a process that begins just now may hold the lock, and it does not for long. What it has
 * taken for one that was left is taken back. */
static int claim(struct lb_partial *partial, const char *temporary)
{
    struct stat made;
    int rc;

    flock(partial->fd, LOCK_EX);
    if (fstat(partial->fd, &made) < 0)
        return -errno;
    partial->device = made.st_dev;
    partial->inode = made.st_ino;
    rc = find(partial, temporary);
    if (rc == -ENOENT && find_apart(partial) == 0)
        rc = change_suffix(partial, LB_PARTIAL_SUFFIX, LB_RECEIVING_SUFFIX);
    return rc == -ENOENT || rc == -EEXIST ? -EAGAIN : rc;
}

int lb_partial_open_left(const struct lb_directory *directory, const char *temporary)
{
    /* For writing too: NFS wants that for an exclusive lock. */
    int fd = openat(directory->fd, temporary, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    int rc = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        rc = -errno;
    else if (!S_ISREG(status.st_mode))
        rc = -EINVAL;
    else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int lb_partial_open(struct lb_partial *partial, struct lb_directory *directory, const char *name)
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

int lb_partial_remove(struct lb_partial *partial)
{
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, partial->name, LB_RECEIVING_SUFFIX);

    lb_partial_close(partial);
    return rc == 0 && unlinkat(partial->directory->fd, temporary, 0) < 0 ? -errno : rc;
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
    int rc = sync ? lb_directory_fsync(partial->directory, partial->fd) : 0;
    int closed = lb_partial_close(partial);

    if (rc == 0)
        rc = closed;
    if (rc == 0)
        rc = change_suffix(partial, LB_RECEIVING_SUFFIX, "");
    if (rc == -ENOENT && find_apart(partial) == 0) /* the lock went with the descriptor */
        rc = change_suffix(partial, LB_PARTIAL_SUFFIX, "");
    return rc;
}

void lb_partial_withdraw(const struct lb_partial *partial)
{
    int rc = change_suffix(partial, "", LB_PARTIAL_SUFFIX);

    if (rc < 0)
        lb_directory_tell(partial->directory,
                          "\"%s\" is not safe, and could not be renamed to \"%s%s\": %s",
                          partial->name, partial->name, LB_PARTIAL_SUFFIX, strerror(-rc));
}
