/* SPDX-License-Identifier: MIT */
/*
 * The soak's reader of what the sink dir makes: collector DIRECTORY checks each published file and
 * removes it, again and again, so that a long soak fills no disk. Once standard input ends it looks
 * at everything for a last time and prints "PUBLISHED BYTES PARTIAL BYTES WRONG".
 */
#include "payload.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A partial file that nobody has written to for so long is no stream's any more: the soak's limits
 * end a silent one far earlier. */
enum { ABANDONED_S = 30, PAUSE_MS = 100 };

static struct {
    uint64_t published, published_bytes, partial, partial_bytes, wrong;
} sums;

static bool is_partial(const char *name)
{
    static const char suffix[] = ".partial";
    size_t length = strlen(name), size = sizeof(suffix) - 1;

    return length > size && strcmp(name + length - size, suffix) == 0;
}

static bool read_file(int directory, const char *name, struct soak_check *check)
{
    char buffer[65536];
    ssize_t size;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    while ((size = read(fd, buffer, sizeof(buffer))) > 0)
        soak_check_take(check, buffer, (size_t)size);
    close(fd);
    return size == 0;
}

static void take_file(int directory, const char *name)
{
    struct soak_check check = {0};
    bool partial = is_partial(name);

    if (!read_file(directory, name, &check) || check.wrong ||
        (!partial && !soak_check_whole(&check))) {
        fprintf(stderr, "%s: %llu bytes that nobody sent so\n", name,
                (unsigned long long)check.bytes);
        sums.wrong++;
    }
    unlinkat(directory, name, 0);
    if (partial) {
        sums.partial++;
        sums.partial_bytes += check.bytes;
    } else {
        sums.published++;
        sums.published_bytes += check.bytes;
    }
}

static bool is_abandoned(int directory, const char *name)
{
    struct stat status;

    return fstatat(directory, name, &status, 0) == 0 && time(NULL) - status.st_mtime > ABANDONED_S;
}

static void look(const char *path, bool last)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;

    if (!directory) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        if (last || !is_partial(entry->d_name) || is_abandoned(dirfd(directory), entry->d_name))
            take_file(dirfd(directory), entry->d_name);
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    struct pollfd poller = {.fd = STDIN_FILENO, .events = POLLIN};

    if (argc != 2)
        return EXIT_FAILURE;
    while (poll(&poller, 1, PAUSE_MS) == 0)
        look(argv[1], false);
    look(argv[1], true);
    printf("%llu %llu %llu %llu %llu\n", (unsigned long long)sums.published,
           (unsigned long long)sums.published_bytes, (unsigned long long)sums.partial,
           (unsigned long long)sums.partial_bytes, (unsigned long long)sums.wrong);
    return EXIT_SUCCESS;
}
