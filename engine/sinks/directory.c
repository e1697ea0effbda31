/* SPDX-License-Identifier: MIT */
#include "directory.h"
#include "clock.h"
#include "direct.h"
#include "error.h"
#include "stamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns a descriptor, or -errno with error filled. */
static int open_writable(const char *path, const char *sink_name, const char *argument,
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

int lb_directory_check(struct lb_directory *directory)
{
    struct stat status;

    if (fstat(directory->fd, &status) < 0 || status.st_nlink > 0)
        return 0;
    if (!atomic_exchange(&directory->missing, true))
        lb_directory_tell(directory, "the directory was removed, and streams are refused: make it "
                                     "again, and start the server again");
    return -ESTALE;
}

/* Can a name be given that nobody else has? What else may go wrong is for the streams to tell. */
static int try_rename(const struct lb_directory *directory)
{
    char stamp[LB_STAMP_SIZE], from[LB_STAMP_SIZE + 40], to[LB_STAMP_SIZE + 60];
    int fd, rc;

    lb_stamp_make(stamp);
    snprintf(from, sizeof(from), ".lastbyte-%ld-%s", (long)getpid(), stamp);
    snprintf(to, sizeof(to), "%s-renamed", from);
    fd = openat(directory->fd, from, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return 0;
    close(fd);
    rc = lb_directory_rename(directory, from, to);
    unlinkat(directory->fd, rc < 0 ? from : to, 0);
    return rc == -EPERM || rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EINVAL || rc == -EMLINK
               ? -EOPNOTSUPP
               : 0;
}

int lb_directory_check_rights(const struct lb_directory *directory, struct lb_error *error)
{
    if (faccessat(directory->fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    return lb_error_set(error, -errno,
                        "no file can be made in its directory: %m; make that writable (chown), or "
                        "use another");
}

int lb_directory_open(struct lb_directory *directory, const char *path, const char *sink_name,
                      const char *argument, const struct lb_sink_options *options,
                      unsigned direct_streams, struct lb_error *error)
{
    int fd = open_writable(path, sink_name, argument, error);
    int rc = 0;

    if (fd < 0)
        return fd;
    *directory = (struct lb_directory){
        .fd = fd,
        .sync = !options->no_fsync,
        .note = options->note,
        .note_context = options->note_context,
    };
    if (asprintf(&directory->called, "%s:%s", sink_name, argument) < 0) {
        directory->called = NULL;
        rc = lb_error_set(error, -ENOMEM, "%s: out of memory", sink_name);
    }
    if (rc == 0 && try_rename(directory) < 0)
        rc = lb_error_set(
            error, -EOPNOTSUPP,
            "%s:%s: its file system can neither rename without replacing nor make hard "
            "links, so no file would get its name; use another file system",
            sink_name, argument);
    if (rc == 0 && options->direct)
        rc = lb_direct_open(&directory->direct, fd, direct_streams, sink_name, argument, error);
    if (rc < 0)
        lb_directory_close(directory);
    return rc;
}

void lb_directory_close(struct lb_directory *directory)
{
    close(directory->fd);
    lb_direct_close(directory->direct);
    free(directory->called);
}

void lb_directory_tell(const struct lb_directory *directory, const char *format, ...)
{
    char text[2 * PATH_MAX];
    va_list arguments;
    int used;

    if (!directory->note)
        return;
    used = snprintf(text, sizeof(text), "%s: ", directory->called);
    if (used < 0 || used >= (int)sizeof(text))
        return;
    va_start(arguments, format);
    vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments);
    va_end(arguments);
    directory->note(directory->note_context, LB_NOTE_WARNING, text);
}

int lb_directory_fsync(struct lb_directory *directory, int fd)
{
    uint64_t begin_ns = lb_clock_ns();
    int rc = fsync(fd) < 0 ? -errno : 0;

    lb_durations_add(&directory->syncs, lb_clock_ns() - begin_ns);
    return rc;
}

int lb_directory_sync(struct lb_directory *directory)
{
    int rc = atomic_load(&directory->failed);

    if (rc < 0)
        return rc;
    rc = lb_directory_fsync(directory, directory->fd);
    /* A file system that has no such thing (some network ones) says so. */
    if (rc == 0 || rc == -EINVAL)
        return 0;
    atomic_store(&directory->failed, rc);
    lb_directory_tell(
        directory,
        "the directory could not be synced: %s; nothing that lands there is called safe "
        "any more: look after the disk, then start the server again",
        strerror(-rc));
    return rc;
}

int lb_directory_each(const struct lb_directory *directory,
                      int (*visit)(void *context, const char *name), void *context)
{
    int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int sum = 0, rc = 0;

    if (!names) {
        rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while (rc >= 0 && (entry = readdir(names))) {
        rc = visit(context, entry->d_name);
        sum += rc;
    }
    closedir(names);
    return rc < 0 ? rc : sum;
}

int lb_directory_rename(const struct lb_directory *directory, const char *from, const char *to)
{
    int fd = directory->fd;

    if (renameat2(fd, from, fd, to, RENAME_NOREPLACE) == 0)
        return 0;
    /* Not every file system knows the flag (NFS, old FUSE); a link refuses an existing name too. */
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(fd, from, fd, to, 0) < 0)
        return -errno;
    return unlinkat(fd, from, 0) < 0 ? -errno : 0;
}
