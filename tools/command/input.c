/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEND_SIZE = 1 << 20 };

static bool is_standard(const struct input *input)
{
    return !input->text && strcmp(input->path, "-") == 0;
}

const char *input_name(const struct input *input)
{
    return input->text ? "--text" : is_standard(input) ? "standard input" : input->path;
}

/* A pipe must not be opened to look at it: its writer would see a reader come and go. */
int input_check(const struct input *input)
{
    struct stat status;

    if (input->text)
        return 0;
    if (is_standard(input)) {
        int flags = fcntl(STDIN_FILENO, F_GETFL);

        return flags < 0 || (flags & O_ACCMODE) == O_WRONLY ? -EBADF : 0;
    }
    if (stat(input->path, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (faccessat(AT_FDCWD, input->path, R_OK, AT_EACCESS) < 0)
        return -errno;
    return 0;
}

bool input_repeats(const struct input *input)
{
    struct stat status;

    if (input->text)
        return true;
    return !is_standard(input) && stat(input->path, &status) == 0 && S_ISREG(status.st_mode);
}

int reader_open(struct reader *reader, const struct input *input)
{
    struct stat status;

    *reader = (struct reader){.input = input, .fd = -1};
    if (input->text)
        return 0;
    reader->fd = is_standard(input) ? STDIN_FILENO : open(input->path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0 || fstat(reader->fd, &status) < 0)
        return -errno;
    if (S_ISREG(status.st_mode)) {
        off_t start = lseek(reader->fd, 0, SEEK_CUR);

        reader->fixed = true;
        reader->size = (uint64_t)status.st_size;
        reader->start = start > 0 ? (uint64_t)start : 0;
        /* Files of the kernel's own, as in /proc, have no size and must be read. */
        reader->by_kernel = reader->size > 0;
    }
    return 0;
}

void reader_close(struct reader *reader)
{
    if (reader->fd > STDIN_FILENO)
        close(reader->fd);
    reader->fd = -1;
}

/* Counts what was taken; at the end, and beyond it, the file must be as long as it was. */
static ssize_t took(struct reader *reader, ssize_t size)
{
    struct stat status;

    if (size < 0)
        return -errno;
    reader->taken += (uint64_t)size;
    if (!reader->fixed)
        return size;
    if (size == 0 && fstat(reader->fd, &status) < 0)
        return -errno;
    if (size == 0 && (uint64_t)status.st_size != reader->size)
        return -ESTALE;
    if (size > 0 && reader->size > 0 && reader->start + reader->taken > reader->size)
        return -ESTALE;
    return size;
}

ssize_t reader_send(struct reader *reader, int socket)
{
    ssize_t size;

    if (!reader->by_kernel)
        return -EOPNOTSUPP;
    do
        size = sendfile(socket, reader->fd, NULL, SEND_SIZE);
    while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EINVAL || errno == ENOSYS) && reader->taken == 0) {
        reader->by_kernel = false;
        return -EOPNOTSUPP;
    }
    return took(reader, size);
}

ssize_t reader_read(struct reader *reader, void *buffer, size_t size)
{
    ssize_t done;

    if (reader->input->text) {
        size_t left = strlen(reader->input->text) - reader->taken;

        size = size < left ? size : left;
        memcpy(buffer, reader->input->text + reader->taken, size);
        reader->taken += size;
        return (ssize_t)size;
    }
    do
        done = read(reader->fd, buffer, size);
    while (done < 0 && errno == EINTR);
    return took(reader, done);
}
