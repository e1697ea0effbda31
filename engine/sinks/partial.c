/* SPDX-License-Identifier: MIT */
#include "partial.h"
#include "../error.h"

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

int lb_partial_name(char temporary[NAME_MAX + 1], const char *name)
{
    int length = snprintf(temporary, NAME_MAX + 1, "%s" LB_PARTIAL_SUFFIX, name);

    return length > NAME_MAX ? -ENAMETOOLONG : 0;
}

int lb_partial_open(struct lb_partial *partial, int directory_fd, const char *name)
{
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, name);
    int fd;

    if (rc < 0)
        return rc;
    fd = openat(directory_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *partial = (struct lb_partial){.directory_fd = directory_fd, .fd = fd, .name = name};
    return 0;
}

int lb_partial_keep(struct lb_partial *partial)
{
    int rc = close(partial->fd) < 0 ? -errno : 0;

    partial->fd = -1;
    return rc;
}

int lb_partial_publish(struct lb_partial *partial)
{
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, partial->name);
    int closed = lb_partial_keep(partial);

    if (rc == 0)
        rc = closed;
    return rc < 0 ? rc : lb_rename_new(partial->directory_fd, temporary, partial->name);
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
