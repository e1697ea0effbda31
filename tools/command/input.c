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
    return input->path && strcmp(input->path, "-") == 0;
}

const char *input_name(const struct input *input, char text[LB_QUOTE_SIZE])
{
    if (input->text)
        return "--text";
    return is_standard(input) ? "standard input"
                              : lb_quote_name(input->path ? input->path : input->command[0], text);
}

/* A pipe must not be opened to look at it: its writer would see a reader come and go. */
int input_check(const struct input *input)
{
    struct stat status;

    if (input->text)
        return 0;
    if (input->command)
        return producer_check(input->command[0]);
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

bool input_size(const struct input *input, uint64_t *size)
{
    struct stat status;
    int error;

    if (input->text) {
        *size = strlen(input->text);
        return true;
    }
    if (input->command)
        return false;
    error = is_standard(input) ? fstat(STDIN_FILENO, &status) : stat(input->path, &status);
    if (error || !S_ISREG(status.st_mode))
        return false;
    off_t start = is_standard(input) ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
    *size = start >= 0 && start < status.st_size ? (uint64_t)(status.st_size - start) : 0;
    return true;
}

bool input_repeats(const struct input *input)
{
    struct stat status;

    if (input->text)
        return true;
    return input->path && !is_standard(input) && stat(input->path, &status) == 0 &&
           S_ISREG(status.st_mode);
}

/* How much of a regular file there is to send. */
static void measure(struct reader *reader, uint64_t size, uint64_t most)
{
    off_t start = lseek(reader->fd, 0, SEEK_CUR);

    reader->start = start > 0 ? (uint64_t)start : 0;
    /* Files of the kernel's own, as in /proc, have no size and must be read to their end. */
    reader->by_kernel = size > 0;
    reader->measured = size > 0 || most < UINT64_MAX;
    if (most < UINT64_MAX)
        reader->left = most;
    else
        reader->left = size > reader->start ? size - reader->start : 0;
}

/* Non-blocking, as a named pipe may have no writer for long. */
static int open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

int reader_open(struct reader *reader, struct input *input, uint64_t most)
{
    struct stat status;

    *reader = (struct reader){.input = input, .fd = -1, .producer = {.output = -1, .process = -1}};
    if (input->text)
        return 0;
    if (input->command) {
        int error = producer_start(&reader->producer, input->command);

        reader->fd = reader->producer.output;
        return error;
    }
    reader->fd = is_standard(input) ? STDIN_FILENO : open_file(input->path);
    if (reader->fd < 0)
        return reader->fd;
    if (fstat(reader->fd, &status) < 0) {
        int error = -errno;

        reader_close(reader);
        return error;
    }
    if (S_ISREG(status.st_mode))
        measure(reader, (uint64_t)status.st_size, most);
    return 0;
}

void reader_close(struct reader *reader)
{
    if (reader->input->command)
        producer_end(&reader->producer);
    else if (reader->fd > STDIN_FILENO)
        close(reader->fd);
    reader->fd = -1;
}

/* A file ended before the size that it had. Files of the kernel's own (/sys) may, and stay so. */
static ssize_t end_early(const struct reader *reader)
{
    off_t position = (off_t)(reader->start + reader->taken);
    struct stat status;
    char byte;

    if (fstat(reader->fd, &status) < 0)
        return -errno;
    if (status.st_size < position + (off_t)reader->left)
        return -ESTALE;
    return pread(reader->fd, &byte, 1, position) == 0 ? 0 : -ESTALE;
}

/* Counts what was taken. */
static ssize_t took(struct reader *reader, ssize_t size)
{
    if (size < 0)
        return -errno;
    if (size == 0 && reader->measured)
        size = end_early(reader);
    if (size == 0)
        reader->input->sent = reader->taken;
    if (size <= 0)
        return size;
    reader->taken += (uint64_t)size;
    if (reader->measured)
        reader->left -= (uint64_t)size;
    return size;
}

/* All of what was there when the file was opened has been taken. */
static bool is_done(struct reader *reader)
{
    if (!reader->measured || reader->left > 0)
        return false;
    reader->input->sent = reader->taken;
    return true;
}

ssize_t reader_send(struct reader *reader, int socket)
{
    ssize_t size;

    if (!reader->by_kernel)
        return -EOPNOTSUPP;
    if (is_done(reader))
        return 0;
    do
        size = sendfile(socket, reader->fd, NULL,
                        reader->left < SEND_SIZE ? (size_t)reader->left : SEND_SIZE);
    while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EINVAL || errno == ENOSYS) && reader->taken == 0) {
        reader->by_kernel = false;
        return -EOPNOTSUPP;
    }
    return took(reader, size);
}

static ssize_t read_text(struct reader *reader, void *buffer, size_t size)
{
    size_t left = strlen(reader->input->text) - reader->taken;

    size = size < left ? size : left;
    memcpy(buffer, reader->input->text + reader->taken, size);
    reader->taken += size;
    return (ssize_t)size;
}

/* The command has closed its output; whether that was all its status tells. */
static ssize_t end_command(struct reader *reader)
{
    reader->fd = reader->producer.process;
    if (!producer_exited(&reader->producer))
        return -EAGAIN;
    return reader->producer.status == 0 ? 0 : -ECHILD;
}

ssize_t reader_read(struct reader *reader, void *buffer, size_t size)
{
    ssize_t done;

    if (reader->input->text)
        return read_text(reader, buffer, size);
    if (is_done(reader))
        return 0;
    if (reader->measured && size > reader->left)
        size = (size_t)reader->left;
    if (reader->input->command && reader->fd != reader->producer.output)
        return end_command(reader);
    do
        done = read(reader->fd, buffer, size);
    while (done < 0 && errno == EINTR);
    if (done == 0 && reader->input->command)
        return end_command(reader);
    return took(reader, done);
}

const char *reader_why(const struct reader *reader, int error, char *text, size_t size)
{
    if (error == -ESTALE)
        return "became shorter while it was sent";
    if (error == -ECHILD)
        return producer_verdict(&reader->producer, text, size);
    return strerror(-error);
}
