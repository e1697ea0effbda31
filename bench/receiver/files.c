/* SPDX-License-Identifier: MIT */
#include "files.h"

#include "payload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int files_make_directory(char path[PATH_MAX], const char *base)
{
    if (snprintf(path, PATH_MAX, "%s/lastbyte-bench-XXXXXX", base) >= PATH_MAX)
        return -ENAMETOOLONG;
    return mkdtemp(path) ? 0 : -errno;
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static bool content_is_right(int fd)
{
    static uint8_t buffer[PAYLOAD_WRITE_MAX];
    struct payload_check check = {0};
    ssize_t size;

    while ((size = read(fd, buffer, sizeof(buffer))) > 0)
        payload_check(&check, buffer, (size_t)size);
    return size == 0 && !check.wrong;
}

static int check_file(int directory_fd, const char *name, const struct trial *trial, char *why,
                      size_t size)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat file;
    int rc = -1;

    if (fd < 0 || fstat(fd, &file) < 0)
        snprintf(why, size, "the file %s: %m", name);
    else if ((uint64_t)file.st_size != trial->stream_bytes)
        snprintf(why, size, "a file of %jd bytes where %" PRIu64 " were sent",
                 (intmax_t)file.st_size, trial->stream_bytes);
    else if (trial->verify && !content_is_right(fd))
        snprintf(why, size, "the bytes in a file are not those that were sent");
    else
        rc = 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

int files_check(const char *directory, const struct trial *trial, char *why, size_t size)
{
    DIR *listing = opendir(directory);
    const struct dirent *entry;
    unsigned files = 0;
    int rc = 0;

    if (!listing) {
        snprintf(why, size, "%s: %m", directory);
        return -1;
    }
    while (rc == 0 && (entry = readdir(listing))) {
        if (is_dot(entry->d_name))
            continue;
        files++;
        rc = check_file(dirfd(listing), entry->d_name, trial, why, size);
    }
    closedir(listing);
    if (rc == 0 && files != trial->streams) {
        snprintf(why, size, "%u files for %u streams", files, trial->streams);
        rc = -1;
    }
    return rc;
}

void files_remove(const char *directory)
{
    DIR *listing = opendir(directory);
    const struct dirent *entry;

    while (listing && (entry = readdir(listing)))
        if (!is_dot(entry->d_name))
            unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing)
        closedir(listing);
    rmdir(directory);
}
