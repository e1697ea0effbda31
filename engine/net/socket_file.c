/* SPDX-License-Identifier: MIT */
#include "socket_file.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME_SIZE = sizeof(struct sockaddr_un) + 40 };

static bool is_same(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* A socket file that no socket is bound to was left by a server that was killed. Asked by a connect
 * of the wrong type: the kernel looks for the socket, and finds none (ECONNREFUSED) or one of
 * another type (EPROTOTYPE), and a live server notices nothing. */
static bool is_stale(const struct sockaddr_un *address, socklen_t address_size, struct stat *status)
{
    bool stale;
    int fd;

    if (lstat(address->sun_path, status) < 0 || !S_ISSOCK(status->st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    stale =
        connect(fd, (const struct sockaddr *)address, address_size) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

/* ---- taking over ----------------------------------------------------------------------------- */

/* Waits for its turn among those that take over the same path, by a file that nobody else can open,
 * and so lock. Returns a descriptor, which is the lock, or -errno. */
static int lock(const char *name)
{
    for (;;) {
        struct stat opened, named;
        int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

        if (fd < 0)
            return -errno;
        if (fstat(fd, &opened) < 0 || !S_ISREG(opened.st_mode) || opened.st_uid != geteuid()) {
            close(fd);
            return -EPERM;
        }
        while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
            ;
        if (lstat(name, &named) == 0 && is_same(&opened, &named))
            return fd;
        close(fd); /* the one before has removed it */
    }
}

/* What was moved away is not what was looked at: a server that knows nothing of the lock has come
 * in between. */
static int put_back(const char *moved, const char *path)
{
    if (linkat(AT_FDCWD, moved, AT_FDCWD, path, 0) == 0)
        unlink(moved);
    return -EADDRINUSE;
}

/* The path is free afterwards, for whoever binds it first: bind(2) fails for all others. Moved
 * before it is removed, as only then it is sure what is removed. Returns 0 or -errno. */
static int make_way(const struct sockaddr_un *address, socklen_t address_size)
{
    const char *path = address->sun_path;
    char locked[NAME_SIZE], moved[NAME_SIZE];
    struct stat seen, status;
    int fd, rc = 0;

    snprintf(locked, sizeof(locked), "%s.lock", path);
    snprintf(moved, sizeof(moved), "%s.stale-%ld", path, (long)getpid());
    fd = lock(locked);
    if (fd < 0)
        return fd;
    if (!is_stale(address, address_size, &seen))
        rc = -EAGAIN; /* somebody else was before us */
    else if (rename(path, moved) < 0)
        rc = -errno;
    else if (lstat(moved, &status) < 0 || !is_same(&seen, &status) ||
             memcmp(&seen.st_mtim, &status.st_mtim, sizeof(seen.st_mtim)) != 0)
        rc = put_back(moved, path);
    unlink(locked);
    close(fd);
    if (rc == 0)
        unlink(moved);
    return rc == -EAGAIN ? 0 : rc;
}

/* ---- ours ------------------------------------------------------------------------------------ */

/* By a descriptor, which no link can lead elsewhere; and fchmod(2) of one that was opened as a path
 * doesn't work. */
static int set_mode(int fd, unsigned mode)
{
    char name[sizeof("/proc/self/fd/") + 11];

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return chmod(name, mode) < 0 ? -errno : 0;
}

/* Is it the one that was made, as far as that can be seen? */
static bool is_ours(const struct stat *status, unsigned mode)
{
    return S_ISSOCK(status->st_mode) && (!mode || status->st_uid == geteuid());
}

static int tell_replaced(const char *path, struct lb_error *error)
{
    return lb_error_set(error, -ESTALE,
                        "unix:%s: somebody has removed or replaced the file just after it was "
                        "made; use a directory that only this user can write to",
                        path);
}

/* Notes its identity, and sets what the umask has kept from it: before listen, so that nobody gets
 * in meanwhile. */
static int own_opened(struct lb_socket_file *file, int fd, const char *path, unsigned mode,
                      struct lb_error *error)
{
    struct stat status;
    int rc = 0;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!is_ours(&status, mode))
        return tell_replaced(path, error);
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->path = strdup(path);
    if (!file->path)
        return -ENOMEM;
    if (mode && (status.st_mode & 07777) != mode)
        rc = set_mode(fd, mode);
    if (rc < 0)
        lb_error_set(error, rc, "unix:%s: its permissions can't be set to %o: %s", path, mode,
                     strerror(-rc));
    return rc;
}

/* Where it is not known whose the file is, it was made just now. */
static int own(struct lb_socket_file *file, const char *path, unsigned mode, struct lb_error *error)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc;

    if (fd < 0 && errno == ENOENT)
        return tell_replaced(path, error);
    rc = fd < 0 ? -errno : own_opened(file, fd, path, mode, error);
    if (fd >= 0)
        close(fd);
    if (rc < 0 && rc != -ESTALE && !file->path)
        unlink(path);
    return rc;
}

static int tell_in_use(const char *path, struct lb_error *error)
{
    struct stat status;

    if (lstat(path, &status) < 0 || S_ISSOCK(status.st_mode))
        return lb_error_set(error, -EADDRINUSE,
                            "cannot listen on unix:%s: another program listens there: stop it, or "
                            "choose another path",
                            path);
    return lb_error_set(
        error, -EADDRINUSE,
        "cannot listen on unix:%s: there is a %s of that name, and it is no socket; "
        "move it away, or use another path",
        path,
        S_ISDIR(status.st_mode)   ? "directory"
        : S_ISLNK(status.st_mode) ? "symbolic link"
                                  : "file");
}

int lb_socket_file_bind(struct lb_socket_file *file, int fd, const struct sockaddr_un *address,
                        socklen_t address_size, unsigned mode, struct lb_error *error)
{
    const char *path = address->sun_path;
    struct stat status;
    int rc;

    if (is_stale(address, address_size, &status)) {
        rc = make_way(address, address_size);
        if (rc < 0 && rc != -EADDRINUSE)
            return lb_error_set(error, rc,
                                "cannot listen on unix:%s: it is left of a server that has died, "
                                "and can't be taken over: %s; remove it",
                                path, strerror(-rc));
    }
    /* The file gets the mode of its socket, without what the umask takes (unix(7) is silent: the
     * kernel's unix_bind_bsd): it is never too open. */
    if (mode && fchmod(fd, mode) < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)address, address_size) < 0)
        return errno == EADDRINUSE ? tell_in_use(path, error) : -errno;
    return own(file, path, mode, error);
}

void lb_socket_file_remove(const struct lb_socket_file *file)
{
    struct stat status;

    if (file->path && lstat(file->path, &status) == 0 && status.st_dev == file->device &&
        status.st_ino == file->inode)
        unlink(file->path);
}

void lb_socket_file_done(struct lb_socket_file *file)
{
    free(file->path);
    file->path = NULL;
}
