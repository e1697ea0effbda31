/* SPDX-License-Identifier: MIT */
#include "seal_key.h"

#include "command.h"
#include "console.h"
#include "quote.h"
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_MAX = 64 << 10 };

static int refuse(const char *path, const char *why)
{
    char name[LB_QUOTE_SIZE];

    console_tell("--seal-key: %s: %s", lb_quote_name(path, name), why);
    return STATUS_NO_START;
}

/* A key that somebody else can read or replace proves nothing. */
static int check(int fd, const char *path)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return refuse(path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse(path, "is no regular file; a key is read from one");
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return refuse(path, "belongs to another user; use a file of your own or of root's");
    if (lb_secret_is_exposed(&status))
        return refuse(path, "others can read or write it; make a new key, and chmod 600 it");
    return STATUS_OK;
}

/* Returns how much of data the file fills, or -errno. */
static ssize_t read_all(int fd, char data[KEY_MAX + 1])
{
    size_t used = 0;
    ssize_t size;

    do {
        size = read(fd, data + used, KEY_MAX + 1 - used);
        if (size > 0)
            used += (size_t)size;
    } while (size > 0 || (size < 0 && errno == EINTR));
    return size < 0 ? -errno : (ssize_t)used;
}

static int take(struct lb_seal_key *key, int fd, const char *path)
{
    char *data = malloc(KEY_MAX + 1);
    ssize_t size = data ? read_all(fd, data) : -ENOMEM;

    *key = (struct lb_seal_key){data, size > 0 ? (size_t)size : 0};
    if (size >= LB_SEAL_KEY_MIN && size <= KEY_MAX)
        return STATUS_OK;
    seal_key_done(key);
    if (size < 0)
        return refuse(path, strerror((int)-size));
    return refuse(path, size > KEY_MAX ? "has more than 65536 bytes; a key has 32 to 65536"
                                       : "has fewer than 32 bytes; to make a key: "
                                         "(umask 077; head -c 32 /dev/urandom >FILE)");
}

int seal_key_read(struct lb_seal_key *key, const char *path)
{
    /* Non-blocking, as a named pipe may have no writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return refuse(path, strerror(errno));
    int status = check(fd, path);
    if (status == STATUS_OK)
        status = take(key, fd, path);
    close(fd);
    return status;
}

void seal_key_done(struct lb_seal_key *key)
{
    void *data = (void *)key->data;

    if (data)
        explicit_bzero(data, key->size);
    free(data);
    *key = (struct lb_seal_key){0};
}
