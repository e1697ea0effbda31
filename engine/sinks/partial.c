/* SPDX-License-Identifier: MIT */
#include "partial.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int lb_directory_open(const char *path, const char *sink_name, const char *argument,
                      struct lb_error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fd < 0 && errno == ENOENT)
        return lb_error_set(error, -ENOENT,
                            "%s:%s: there is no directory \"%s\"; make it with mkdir -p", sink_name,
                            argument, path);
    if (fd < 0)
        return lb_error_set(error, -errno, "%s:%s: \"%s\" can't be used as a directory: %m",
                            sink_name, argument, path);
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return fd;
    rc = lb_error_set(error, -errno,
                      "%s:%s: no file can be made in \"%s\": %m; make it writable or use another",
                      sink_name, argument, path);
    close(fd);
    return rc;
}

int lb_directory_check(int directory_fd, struct lb_error *error)
{
    if (faccessat(directory_fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    return lb_error_set(error, -errno,
                        "no file can be made in its directory: %m; make that writable (chown), or "
                        "use another");
}

int lb_directory_sync(int directory_fd)
{
    if (fsync(directory_fd) == 0)
        return 0;
    /* A file system that has no such thing (some network ones) says so. */
    return errno == EINVAL ? 0 : -errno;
}

int lb_partial_name(char result[NAME_MAX + 1], const char *name, const char *suffix)
{
    int length = snprintf(result, NAME_MAX + 1, "%s%s", name, suffix);

    return length > NAME_MAX ? -ENAMETOOLONG : 0;
}

int lb_partial_open(struct lb_partial *partial, int directory_fd, const char *name)
{
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, name, LB_RECEIVING_SUFFIX);
    int fd;

    if (rc < 0)
        return rc;
    fd = openat(directory_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *partial = (struct lb_partial){.directory_fd = directory_fd, .fd = fd, .name = name};
    return 0;
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
    return rc < 0 ? rc : lb_rename_new(partial->directory_fd, old, new);
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

int lb_rename_new(int directory_fd, const char *from, const char *to)
{
    if (renameat2(directory_fd, from, directory_fd, to, RENAME_NOREPLACE) == 0)
        return 0;
    /* Not every file system knows the flag (NFS, old FUSE); a link refuses an existing name too. */
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(directory_fd, from, directory_fd, to, 0) < 0)
        return -errno;
    return unlinkat(directory_fd, from, 0) < 0 ? -errno : 0;
}
