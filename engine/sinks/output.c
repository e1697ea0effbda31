/* SPDX-License-Identifier: MIT */
#include "output.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int lb_output_init(struct lb_output *output, const char *sink_name,
                   const struct lb_sink_options *options, struct lb_error *error)
{
    int fd = options->output_fd ? options->output_fd : STDOUT_FILENO;
    int flags = fcntl(fd, F_GETFL);
    struct stat status;

    if (flags < 0 || fstat(fd, &status) < 0)
        return lb_error_set(error, -errno, "%s: output descriptor %d: %m; it must be open",
                            sink_name, fd);
    if ((flags & O_ACCMODE) == O_RDONLY)
        return lb_error_set(error, -EBADF, "%s: output descriptor %d is open for reading only",
                            sink_name, fd);
    *output = (struct lb_output){
        .fd = fd,
        .is_socket = S_ISSOCK(status.st_mode),
        .lost = options->output_lost,
        .lost_context = options->note_context,
    };
    return 0;
}

ssize_t lb_output_put(const struct lb_output *output, const void *data, size_t size)
{
    ssize_t put;

    do {
        put = output->is_socket ? send(output->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                : write(output->fd, data, size);
    } while (put < 0 && errno == EINTR);
    if (put >= 0)
        return put;
    put = -errno;
    if (put == -EPIPE && output->lost)
        output->lost(output->lost_context);
    return put;
}

static int await_room(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};

    return poll(&poller, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

int lb_output_write(const struct lb_output *output, const void *data, size_t size)
{
    const uint8_t *next = data;

    while (size > 0) {
        ssize_t put = lb_output_put(output, next, size);

        if (put == -EAGAIN) {
            int rc = await_room(output->fd);

            if (rc < 0)
                return rc;
            continue;
        }
        /* Nothing taken and no error: a device that would keep this loop hot for ever. */
        if (put == 0)
            return -EIO;
        if (put < 0)
            return (int)put;
        next += put;
        size -= (size_t)put;
    }
    return 0;
}

int lb_file_write(int fd, const void *data, size_t size)
{
    return lb_output_write(&(struct lb_output){.fd = fd}, data, size);
}
