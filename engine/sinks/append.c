/* SPDX-License-Identifier: MIT */
#include "append.h"
#include "clock.h"
#include "error.h"
#include "output.h"
#include "stamp.h"

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

/* The file as it is now, whoever has put it there: it is opened without waiting for anything.
 * Returns a descriptor, -ENOENT if there is none, or -errno. */
static int open_file(struct lb_append *file, bool final)
{
    const struct lb_directory *directory = file->directory;
    char more[LB_HUSH_SIZE];
    uint64_t untold;
    const char *why = "it is not a regular file";
    struct stat status;
    /* Not O_APPEND: copy_file_range refuses it. */
    int fd = openat(directory->fd, file->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    /* A link, a FIFO that nobody reads, or a directory. */
    if (fd < 0 && errno != ELOOP && errno != ENXIO && errno != EISDIR)
        return -errno;
    if (fd >= 0 && fstat(fd, &status) < 0) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    if (fd >= 0)
        why = lb_append_why_not(&status, final);
    if (!why)
        return fd;
    if (fd >= 0)
        close(fd);
    if (lb_hush_tells(&file->refusals, lb_clock_ns(), LB_NS_PER_S, 1, &untold))
        lb_directory_tell(directory, "nothing is added to it: %s%s", why,
                          lb_hush_text(untold, more));
    return -EPERM;
}

/* ---- the mark -------------------------------------------------------------------------------- */

static void name_mark(char mark[NAME_MAX + 1], const char *name, long long size, long long more)
{
    snprintf(mark, NAME_MAX + 1, "%s.appending-%lld+%lld", name, size, more);
}

/* Where they have to outlast a crash of the machine, the mark is on the disk before the first byte
 * is, and gone from there before anybody is told that they are safe. */
static int set_mark(struct lb_append *file, off_t size, off_t more, bool sync)
{
    int fd;

    name_mark(file->mark, file->name, size, more);
    fd = openat(file->directory->fd, file->mark,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        file->mark[0] = '\0';
        return -errno;
    }
    close(fd);
    return sync ? lb_directory_sync(file->directory) : 0;
}

static int remove_mark(struct lb_append *file)
{
    if (file->mark[0] && unlinkat(file->directory->fd, file->mark, 0) < 0 && errno != ENOENT)
        return -errno;
    file->mark[0] = '\0';
    return 0;
}

/* ---- one stream ------------------------------------------------------------------------------ */

/* Nothing is added to the file any more. */
static void give_up(struct lb_append *file, const char *what, int error)
{
    file->failed = error;
    lb_directory_tell(file->directory,
                      "%s: %s; nothing is added any more: look after the disk and the file, then "
                      "start the server again",
                      what, strerror(-error));
}

static void roll_back(struct lb_append *file, int fd, off_t size, bool sync)
{
    int rc = ftruncate(fd, size) < 0 ? -errno : 0;

    /* Not after a failed one, see give_up: then the mark stays, and the next start looks again. */
    if (rc == 0 && file->failed)
        return;
    if (rc == 0 && sync)
        rc = lb_directory_fsync(file->directory, fd);
    if (rc < 0)
        give_up(file, "a part of a stream may be left at its end", rc);
    else
        remove_mark(file); /* or else before the next stream */
}

/* All of the partial is at the end of the file, or none of it. */
static int append_whole(struct lb_append *file, int from, int to, bool sync)
{
    struct stat source;
    struct stat target;
    int rc;

    if (fstat(from, &source) < 0 || fstat(to, &target) < 0)
        return -errno;
    rc = set_mark(file, target.st_size, source.st_size, sync);
    if (rc == 0)
        rc = copy(from, to, target.st_size, source.st_size);
    if (rc == 0)
        rc = flush_errors(to);
    if (rc == 0 && sync) {
        rc = lb_directory_fsync(file->directory, to);
        /* Another try would succeed without what could not be written (fsync(2)). */
        if (rc < 0)
            give_up(file, "the file could not be synced", rc);
    }
    if (rc == 0)
        rc = remove_mark(file);
    if (rc == 0 && sync)
        rc = lb_directory_sync(file->directory);
    if (rc < 0)
        roll_back(file, to, target.st_size, sync);
    return rc;
}

/* Returns 0, LB_UNSETTLED, or -errno with the partial closed, and still called NAME.receiving. */
static int append(struct lb_append *file, struct lb_landing *landing,
                  const struct lb_stream *stream)
{
    struct lb_partial *partial = &landing->partial;
    const struct lb_directory *directory = partial->directory;
    int rc = remove_mark(file); /* of one that could not be removed yet */
    int fd;

    if (rc == 0)
        rc = lb_landing_check(stream, file->directory);
    fd = rc < 0 ? rc : open_file(file, true);
    if (fd == -ENOENT)
        return lb_landing_publish(landing, stream);
    rc = fd < 0 ? fd : append_whole(file, partial->fd, fd, lb_landing_syncs(stream, directory));
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        return lb_partial_remove(partial);
    lb_partial_close(partial);
    return rc;
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

/* ---- what an earlier run has left ------------------------------------------------------------ */

struct recovery {
    struct lb_append *file;
    struct lb_partial guard; /* keeps others from adding meanwhile; while guarded */
    bool guarded;
};

static bool read_mark(const struct lb_append *file, const char *entry, long long *size,
                      long long *more)
{
    const size_t length = strlen(file->name);
    char same[NAME_MAX + 1];

    if (strncmp(entry, file->name, length) != 0 ||
        sscanf(entry + length, ".appending-%lld+%lld", size, more) != 2 || *size < 0 || *more < 0 ||
        *more > LLONG_MAX - *size)
        return false;
    name_mark(same, file->name, *size, *more);
    return strcmp(entry, same) == 0;
}

/* Nobody else's mark is followed: it is whose the file is. */
static bool is_mark(const struct lb_append *file, const char *entry, const struct stat *target)
{
    struct stat status;

    return fstatat(file->directory->fd, entry, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_size == 0 &&
           (!target || status.st_uid == target->st_uid);
}

static int take_out(const struct lb_append *file, int fd, off_t now, long long size, long long more)
{
    if (now > size + more) {
        lb_directory_tell(file->directory,
                          "an earlier run has died while it added a stream, and somebody else has "
                          "added more since: look at what follows its first %lld bytes",
                          size);
        return 0;
    }
    if (now <= size)
        return 0;
    if (ftruncate(fd, size) < 0 || fsync(fd) < 0)
        return -errno;
    lb_directory_tell(file->directory,
                      "an earlier run has died while it added a stream: the %lld bytes of that are "
                      "taken out again",
                      (long long)now - size);
    return 0;
}

/* Does what the mark asks for, and removes it. */
static int follow(struct lb_append *file, const char *entry, long long size, long long more)
{
    int fd = open_file(file, false), rc = 0;
    bool gone = fd == -ENOENT, ours = false;
    struct stat status;

    if (fd < 0 && !gone)
        return fd;
    if (!gone && fstat(fd, &status) < 0)
        rc = -errno;
    if (rc == 0)
        ours = is_mark(file, entry, gone ? NULL : &status);
    if (ours && !gone)
        rc = take_out(file, fd, status.st_size, size, more);
    if (fd >= 0)
        close(fd);
    if (rc == 0 && ours && unlinkat(file->directory->fd, entry, 0) < 0)
        rc = -errno;
    return rc;
}

/* Returns 0 or -errno. */
static int recover(void *context, const char *entry)
{
    struct recovery *recovery = context;
    struct lb_append *file = recovery->file;
    long long size, more;
    int rc = 0;

    if (!read_mark(file, entry, &size, &more))
        return 0;
    if (!recovery->guarded)
        rc = lb_partial_open(&recovery->guard, file->directory, file->name);
    if (rc < 0)
        return rc == -EEXIST || rc == -EAGAIN ? -EBUSY : rc;
    recovery->guarded = true;
    return follow(file, entry, size, more);
}

int lb_append_open(struct lb_append *file, struct lb_directory *directory, const char *name,
                   struct lb_error *error)
{
    struct recovery recovery = {.file = file};
    int rc;

    *file = (struct lb_append){.directory = directory, .name = name};
    rc = lb_directory_each(directory, recover, &recovery);
    if (recovery.guarded)
        lb_partial_remove(&recovery.guard);
    if (rc == -EBUSY)
        return lb_error_set(error, rc, "%s: another process receives into it; use another name",
                            directory->called);
    if (rc < 0)
        return lb_error_set(error, rc,
                            "%s: what an earlier run has not added whole can't be taken out: %s",
                            directory->called, strerror(-rc));
    return 0;
}
