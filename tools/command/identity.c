/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include "certificate.h"
#include "command.h"
#include "console.h"
#include "quote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const char *path, const char *why)
{
    char name[LB_QUOTE_SIZE];

    console_tell("--tls-dir: %s: %s", lb_quote_name(path, name), why);
    return STATUS_NO_START;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* systemd names several, one behind the other. */
static size_t first_of(const char *list)
{
    return strcspn(list, ":");
}

static bool find_directory(char path[PATH_MAX], const char *given)
{
    const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int size = -1;

    if (given)
        size = snprintf(path, PATH_MAX, "%s", given);
    else if (state && *state)
        size = snprintf(path, PATH_MAX, "%.*s", (int)first_of(state), state);
    else if (xdg && *xdg == '/')
        size = snprintf(path, PATH_MAX, "%s/lastbyte", xdg);
    else if (home && *home == '/')
        size = snprintf(path, PATH_MAX, "%s/.local/state/lastbyte", home);
    return size > 0 && size < PATH_MAX;
}

/* Those above it are made, too, for our user alone. */
static int make_directory(const char *path)
{
    char part[PATH_MAX];

    snprintf(part, sizeof(part), "%s", path);
    for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(part, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Whoever else can write there could put his own key in the place of ours. */
static int open_directory(const char *path)
{
    int rc = make_directory(path), fd = -1;
    struct stat status;

    if (rc == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        refuse(path, strerror(rc < 0 ? -rc : errno));
        return -1;
    }
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
        !(status.st_mode & (S_IWGRP | S_IWOTH)))
        return fd;
    close(fd);
    refuse(path, status.st_uid != geteuid() ? "belongs to another user; use a directory of your own"
                                            : "others can write there; chmod 700 it");
    return -1;
}

/* ---- the key --------------------------------------------------------------------------------- */

/* It is there whole, or not at all; if somebody else was faster, his is the one. */
static int make(int directory, const char *path, const char *name)
{
    char temporary[64];
    bool done;
    int fd;

    snprintf(temporary, sizeof(temporary), ".%s.%ld", name, (long)getpid());
    unlinkat(directory, temporary, 0);
    fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(path, strerror(errno));
    done = certificate_write(fd) && fsync(fd) == 0;
    close(fd);
    if (done)
        done = linkat(directory, temporary, directory, name, 0) == 0 || errno == EEXIST;
    int error = errno;
    unlinkat(directory, temporary, 0);
    fsync(directory);
    return done ? STATUS_OK : refuse(path, error ? strerror(error) : "no key could be made");
}

int identity_find(char path[PATH_MAX], const char *directory, const char *name)
{
    char state[PATH_MAX];
    int status = STATUS_OK, fd, size;
    struct stat is;

    if (!find_directory(state, directory)) {
        console_tell("--tls: nowhere to keep a key; use --tls-dir=DIR");
        return STATUS_NO_START;
    }
    size = snprintf(path, PATH_MAX, "%s/%s", state, name);
    if (size >= PATH_MAX)
        return refuse(state, strerror(ENAMETOOLONG));
    fd = open_directory(state);
    if (fd < 0)
        return STATUS_NO_START;
    if (fstatat(fd, name, &is, 0) < 0)
        status = make(fd, path, name);
    else if (is.st_mode & (S_IRWXG | S_IRWXO))
        status = refuse(path, "others can read or write it; remove it, and a new key is made");
    close(fd);
    return status;
}
