/* SPDX-License-Identifier: MIT */
#include "spool.h"
#include "output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void lb_spool_init(struct lb_spool *spool, uint64_t max)
{
    *spool = (struct lb_spool){.fd = -1, .max = max};
}

void lb_spool_done(struct lb_spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    lb_spool_init(spool, spool->max);
}

/* Not every file system has O_TMPFILE (overlayfs before 6.1, NFS). */
static int open_named(const char *directory)
{
    char path[PATH_MAX];
    int fd;

    if (snprintf(path, sizeof(path), "%s/lastbyte-XXXXXX", directory) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

static int open_temporary(void)
{
    const char *directory = secure_getenv("TMPDIR");
    int fd;

    if (!directory || !*directory)
        directory = "/tmp";
    fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? open_named(directory) : fd;
}

int lb_spool_append(struct lb_spool *spool, const void *data, size_t size)
{
    int rc;

    if (size > spool->max - spool->size)
        return -EFBIG;
    if (spool->fd < 0) {
        rc = open_temporary();
        if (rc < 0)
            return rc;
        spool->fd = rc;
    }
    rc = lb_file_write(spool->fd, data, size);
    if (rc == 0)
        spool->size += size;
    return rc;
}

ssize_t lb_spool_peek(const struct lb_spool *spool, void *data, size_t size)
{
    ssize_t got;

    assert(lb_spool_waiting(spool) > 0);
    do {
        got = pread(spool->fd, data, size, (off_t)spool->taken);
    } while (got < 0 && errno == EINTR);
    if (got == 0)
        return -EIO;
    return got < 0 ? -errno : got;
}

void lb_spool_take(struct lb_spool *spool, size_t size)
{
    assert(size <= lb_spool_waiting(spool));
    spool->taken += size;
    /* Empty: begin anew, so that the file is never larger than what waited at one time. If that
     * fails it is larger, and still right. */
    if (spool->taken == spool->size && ftruncate(spool->fd, 0) == 0 &&
        lseek(spool->fd, 0, SEEK_SET) == 0) {
        spool->size = 0;
        spool->taken = 0;
    }
}
