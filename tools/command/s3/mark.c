/* SPDX-License-Identifier: MIT */
#include "mark.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECEIVERS_MAX = 100 }; /* that share a directory at a time */

static bool find_directory(char path[PATH_MAX])
{
    static const struct {
        const char *variable, *behind;
    } places[] = {
        {"STATE_DIRECTORY", ""},
        {"XDG_STATE_HOME", "/lastbyte"},
        {"HOME", "/.local/state/lastbyte"},
    };

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *base = getenv(places[i].variable);

        /* systemd lists several with colons between: the first. */
        if (base && *base == '/')
            return snprintf(path, PATH_MAX, "%.*s%s", (int)strcspn(base, ":"), base,
                            places[i].behind) < PATH_MAX;
    }
    return false;
}

/* Like mkdir -p. Returns a descriptor or -errno. */
static int open_directory(char *path)
{
    int fd;

    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)!mkdir(path, 0700);
        *slash = '/';
    }
    (void)!mkdir(path, 0700);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* What the file has, or a new mark that is written there. */
static int take(struct s3_mark *mark)
{
    ssize_t size = pread(mark->fd, mark->text, S3_MARK_MAX, 0);
    uint32_t dice;
    int length;

    if (size < 0)
        return -errno;
    mark->text[size] = '\0';
    mark->text[strcspn(mark->text, "\n")] = '\0';
    if (size > 0)
        return s3_key_is_mark(mark->text) ? 0 : -EBADMSG;
    if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
        return -EIO;
    length = snprintf(mark->text, sizeof(mark->text), "%08" PRIx32, dice);
    return pwrite(mark->fd, mark->text, (size_t)length, 0) == length && fsync(mark->fd) == 0 ? 0
                                                                                             : -EIO;
}

/* The first whose lock is free: the others belong to receivers that run. */
static int find_free(struct s3_mark *mark, int directory)
{
    for (unsigned i = 1; i <= RECEIVERS_MAX; i++) {
        char name[24] = "s3-id";

        if (i > 1)
            snprintf(name, sizeof(name), "s3-id-%u", i);
        mark->fd = openat(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (mark->fd < 0)
            return -errno;
        if (flock(mark->fd, LOCK_EX | LOCK_NB) == 0)
            return take(mark);
        close(mark->fd);
        mark->fd = -1;
    }
    return -EUSERS;
}

int s3_mark_open(struct s3_mark *mark, const char *given, struct lb_error *error)
{
    char path[PATH_MAX];
    int directory, rc;

    *mark = (struct s3_mark){.fd = -1};
    if (given) {
        snprintf(mark->text, sizeof(mark->text), "%s", given);
        return 0;
    }
    if (!find_directory(path))
        return s3_fail(error, -ENOENT,
                       "no directory to keep this receiver's mark in; give --s3-id, or set "
                       "STATE_DIRECTORY, XDG_STATE_HOME or HOME");
    directory = open_directory(path);
    rc = directory < 0 ? directory : find_free(mark, directory);
    if (directory >= 0)
        close(directory);
    if (rc < 0) {
        s3_mark_close(mark);
        s3_fail(error, rc,
                "%s: can't keep this receiver's mark: %s; give --s3-id, or set "
                "STATE_DIRECTORY",
                path, rc == -EBADMSG ? "its file s3-id holds something else" : strerror(-rc));
    }
    return rc;
}

void s3_mark_close(struct s3_mark *mark)
{
    if (mark->fd >= 0)
        close(mark->fd);
    mark->fd = -1;
}
