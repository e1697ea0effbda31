/* SPDX-License-Identifier: MIT */
#include "append.h"
#include "../stamp.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* All of from is at the end of to, or none of it. */
static int append_whole(int from, int to, bool sync)
{
    struct stat source;
    struct stat target;
    int rc;

    if (fstat(from, &source) < 0 || fstat(to, &target) < 0)
        return -errno;
    rc = copy(from, to, target.st_size, source.st_size);
    if (rc == 0)
        rc = flush_errors(to);
    if (rc == 0 && sync && fsync(to) < 0)
        rc = -errno;
    if (rc < 0 && ftruncate(to, target.st_size) < 0)
        return -errno;
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

/* Returns 0, LB_UNSETTLED, or -errno with the partial closed, and still called NAME.receiving. */
static int append(struct lb_landing *landing, const struct lb_stream *stream)
{
    struct lb_partial *partial = &landing->partial;
    const struct lb_directory *directory = partial->directory;
    char temporary[NAME_MAX + 1];
    int rc = lb_partial_name(temporary, partial->name, LB_RECEIVING_SUFFIX);
    /* Not O_APPEND: copy_file_range refuses it. */
    int fd = openat(directory->fd, partial->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return lb_landing_publish(landing, stream);
    if (rc == 0)
        rc = fd < 0 ? -errno
                    : append_whole(partial->fd, fd, directory->sync && lb_stream_receipt(stream));
    if (fd >= 0)
        close(fd);
    lb_partial_close(partial);
    return rc == 0 && unlinkat(directory->fd, temporary, 0) < 0 ? -errno : rc;
}

int lb_append_end(struct lb_landing *landing, const struct lb_stream *stream, bool complete)
{
    const struct lb_partial *partial = &landing->partial;
    int rc = complete ? append(landing, stream) : lb_partial_close(&landing->partial);
    int aside;

    if (complete && rc >= 0)
        return rc;
    aside = lb_append_set_aside(partial->directory, partial->name);
    return rc < 0 ? rc : aside;
}
