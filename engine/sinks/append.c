/* SPDX-License-Identifier: MIT */
#include "append.h"
#include "../stamp.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where copy_file_range can't: between some file systems, or not on this one. */
static int copy_by_hand(int from, int to, off_t position, off_t done)
{
    uint8_t buffer[32 * 1024];

    if (lseek(to, position + done, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        ssize_t got = pread(from, buffer, sizeof(buffer), done);
        int rc;

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        rc = lb_file_write(to, buffer, (size_t)got);
        if (rc < 0)
            return rc;
        done += got;
    }
}

/* Copies all of from to position in to. */
static int copy(int from, int to, off_t position, off_t size)
{
    off_t done = 0;

    while (done < size) {
        off_t target = position + done;
        ssize_t got = copy_file_range(from, &(off_t){done}, to, &target, (size_t)(size - done), 0);

        if (got < 0 && errno == EINTR)
            continue;
        /* Some kernels say 0 where they mean that they can't (copy_file_range(2), BUGS). */
        if (got == 0 || (got < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS ||
                                     errno == EOPNOTSUPP)))
            return copy_by_hand(from, to, position, done);
        if (got < 0)
            return -errno;
        done += got;
    }
    return 0;
}

/* Some file systems tell of a failed write at close only; every close of a copy asks them too, and
 * leaves us a descriptor to undo the write with. */
static int flush_errors(int fd)
{
    int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return duplicate < 0 || close(duplicate) < 0 ? -errno : 0;
}

/* Nothing is added to the file any more. */
static void give_up(struct lb_append *file, const struct lb_directory *directory, const char *what,
                    int error)
{
    file->failed = error;
    lb_directory_tell(directory,
                      "%s: %s; nothing is added any more: look after the disk and the file, then "
                      "start the server again",
                      what, strerror(-error));
}

/* All of the partial is at the end of to, or none of it. */
static int append_whole(struct lb_append *file, const struct lb_partial *partial, int to, bool sync)
{
    struct stat source;
    struct stat target;
    int rc;

    if (fstat(partial->fd, &source) < 0 || fstat(to, &target) < 0)
        return -errno;
    rc = copy(partial->fd, to, target.st_size, source.st_size);
    if (rc == 0)
        rc = flush_errors(to);
    /* Another try would succeed without what could not be written (fsync(2)). */
    if (rc == 0 && sync && fsync(to) < 0) {
        rc = -errno;
        give_up(file, partial->directory, "the file could not be synced", rc);
    }
    if (rc < 0 && ftruncate(to, target.st_size) < 0)
        give_up(file, partial->directory, "a part of a stream is left at its end", -errno);
    return rc;
}

int lb_append_set_aside(const struct lb_directory *directory, const char *name)
{
    char stamp[LB_STAMP_SIZE];
    char old[NAME_MAX + 1], new[NAME_MAX + 1];
    int rc = lb_partial_name(old, name, LB_RECEIVING_SUFFIX);

    lb_stamp_make(stamp);
    if (snprintf(new, sizeof(new), "%s.%s" LB_PARTIAL_SUFFIX, name, stamp) > NAME_MAX)
        rc = -ENAMETOOLONG;
    return rc < 0 ? rc : lb_directory_rename(directory, old, new);
}

const char *lb_append_why_not(const struct stat *status, bool final)
{
    uid_t user = geteuid();

    if (!S_ISREG(status->st_mode))
        return "it is not a regular file";
    if (status->st_nlink > 1)
        return "the file has another name too (a hard link)";
    if (status->st_uid != user && (final || user != 0))
        return "the file belongs to somebody else";
    return NULL;
}

/* The file as it is now, whoever has put it there: it is opened without waiting for anything. Returns
 * a descriptor, -ENOENT if there is none, or -errno. */
static int open_file(const struct lb_partial *partial)
{
    const struct lb_directory *directory = partial->directory;
    const char *why = "it is not a regular file";
    struct stat status;
    /* Not O_APPEND: copy_file_range refuses it. */
    int fd = openat(directory->fd, partial->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    /* A link, a FIFO that nobody reads, or a directory. */
    if (fd < 0 && errno != ELOOP && errno != ENXIO && errno != EISDIR)
        return -errno;
    if (fd >= 0 && fstat(fd, &status) < 0) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    if (fd >= 0)
        why = lb_append_why_not(&status, true);
    if (!why)
        return fd;
    if (fd >= 0)
        close(fd);
    lb_directory_tell(directory, "not added to: %s; the stream is kept apart", why);
    return -EPERM;
}

/* Returns 0, LB_UNSETTLED, or -errno with the partial closed, and still called NAME.receiving. */
static int append(struct lb_append *file, struct lb_landing *landing,
                  const struct lb_stream *stream)
{
    struct lb_partial *partial = &landing->partial;
    const struct lb_directory *directory = partial->directory;
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, partial->name, LB_RECEIVING_SUFFIX);
    int fd = open_file(partial);

    if (fd == -ENOENT)
        return lb_landing_publish(landing, stream);
    if (rc == 0)
        rc = fd < 0 ? fd : append_whole(file, partial, fd, lb_landing_syncs(stream, directory));
    if (fd >= 0)
        close(fd);
    lb_partial_close(partial);
    return rc == 0 && unlinkat(directory->fd, temporary, 0) < 0 ? -errno : rc;
}

int lb_append_end(struct lb_append *file, struct lb_landing *landing,
                  const struct lb_stream *stream, bool complete)
{
    const struct lb_partial *partial = &landing->partial;
    int rc = complete ? append(file, landing, stream) : lb_partial_close(&landing->partial);
    int aside;

    if (complete && rc >= 0)
        return rc;
    aside = lb_append_set_aside(partial->directory, partial->name);
    return rc < 0 ? rc : aside;
}
