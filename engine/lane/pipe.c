/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* A network's packets take a page of a pipe each, however small they are. */
enum {
    PIPE_SIZE = 1 << 20,
    PIPE_LEAST = 64 << 10, /* what an unprivileged user has after 64 MiB of pipes is smaller */
    TARGET_PIPE_SIZE = 256 << 10, /* there may be hundreds */
};

void lb_pipe_init(struct lb_pipe *state)
{
    *state = (struct lb_pipe){.pipe = {-1, -1}};
}

void lb_pipe_done(struct lb_pipe *state)
{
    for (int i = 0; i < 2; i++)
        if (state->pipe[i] >= 0)
            close(state->pipe[i]);
    lb_pipe_init(state);
}

/* Makes a pipe larger, as far as it may be. Returns its size. */
static int grow(int pipe, int size)
{
    int now = fcntl(pipe, F_GETPIPE_SZ);

    for (; now >= 0 && now < size; size /= 2)
        if (fcntl(pipe, F_SETPIPE_SZ, size) >= 0)
            return size;
    return now;
}

static bool has_pipe(struct lb_pipe *state)
{
    if (state->pipe[0] >= 0)
        return true;
    if (pipe2(state->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    if (grow(state->pipe[1], PIPE_SIZE) >= PIPE_LEAST)
        return true;
    lb_pipe_done(state);
    return false;
}

enum lb_way lb_pipe_prepare(struct lb_pipe *state, int target)
{
    int flags = fcntl(target, F_GETFL);
    struct stat status;

    /* Nothing can be spliced to the end of a file (splice(2), O_APPEND). */
    if (flags < 0 || flags & O_APPEND || fstat(target, &status) < 0)
        return LB_WAY_CHUNKS;
    if (S_ISFIFO(status.st_mode) && grow(target, TARGET_PIPE_SIZE) >= PIPE_LEAST)
        return LB_WAY_TO_PIPE;
    return S_ISREG(status.st_mode) && has_pipe(state) ? LB_WAY_TO_FILE : LB_WAY_CHUNKS;
}

/* The call's own trouble, not the socket's: the bytes are where they were. */
static bool cant_be_spliced(int error)
{
    switch (error) {
    case EINVAL: /* this kind of file, or of socket, or O_APPEND */
    case ENOSYS:
    case EPERM:
    case ENOMEM:
    case EPIPE: /* nobody reads the pipe any more. A socket that is shut down says 0 */
        return true;
    default:
        return false;
    }
}

/* To a pipe that had no room, or a socket that had nothing: splice(2) says EAGAIN to both. */
static int explain_eagain(int pipe)
{
    struct pollfd poller = {.fd = pipe, .events = POLLOUT};

    return poll(&poller, 1, 0) == 0 ? -ENOBUFS : -EAGAIN;
}

static ssize_t into_pipe(int socket, int pipe, size_t most)
{
    ssize_t moved = splice(socket, NULL, pipe, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (moved >= 0)
        return moved;
    if (errno == EAGAIN)
        return explain_eagain(pipe);
    if (errno == EINTR)
        return -EAGAIN;
    return cant_be_spliced(errno) ? 0 : -errno;
}

/* All that waits goes to file, or as much as it takes. */
static size_t out_of_pipe(struct lb_pipe *state, int file)
{
    size_t total = 0;

    while (state->waiting > 0) {
        ssize_t moved = splice(state->pipe[0], NULL, file, NULL, state->waiting, SPLICE_F_MOVE);

        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            break;
        state->waiting -= (size_t)moved;
        total += (size_t)moved;
    }
    return total;
}

ssize_t lb_pipe_move(struct lb_pipe *state, int socket, int target, enum lb_way way, size_t most)
{
    ssize_t moved;

    assert(state->waiting == 0);
    if (way == LB_WAY_TO_PIPE)
        return into_pipe(socket, target, most);
    /* It may be gone since it was prepared. */
    if (!has_pipe(state))
        return 0;
    moved = into_pipe(socket, state->pipe[1], most);
    if (moved <= 0)
        return moved == -ENOBUFS ? -EAGAIN : moved;
    state->waiting = (size_t)moved;
    return (ssize_t)out_of_pipe(state, target);
}

ssize_t lb_pipe_take(struct lb_pipe *state, void *data, size_t size)
{
    ssize_t got;

    assert(state->waiting > 0);
    do {
        got = read(state->pipe[0], data, size < state->waiting ? size : state->waiting);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got < 0 ? -errno : -EIO;
    state->waiting -= (size_t)got;
    return got;
}
