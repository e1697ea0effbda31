/* SPDX-License-Identifier: MIT */
/*
 * The soak's reader of what the sink dir makes: collector DIRECTORY checks each file that is
 * finished and removes it, again and again, so that a long soak fills no disk. Once standard input
 * ends it looks for a last time and prints "PUBLISHED BYTES PARTIAL BYTES WRONG".
 */
#include "payload.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAUSE_MS = 100 };

static struct {
    uint64_t published, published_bytes, partial, partial_bytes, wrong;
} sums;

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), size = strlen(suffix);

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
    bool partial = has_suffix(name, ".partial");

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
        if (!has_suffix(entry->d_name, ".receiving")) {
            take_file(dirfd(directory), entry->d_name);
        } else if (last) {
            fprintf(stderr, "%s: nobody receives it any more\n", entry->d_name);
            sums.wrong++;
        }
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
