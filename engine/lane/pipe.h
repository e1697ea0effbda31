/* SPDX-License-Identifier: MIT */
/*
 * Splicing: bytes that go from a socket to a file or into a pipe without coming to user space.
 *
 * Into a pipe the kernel moves them in one step. To a file they pass through a pipe of ours, and
 * always to its other end at once, so a worker needs only one.
 */
#ifndef LB_PIPE_H
#define LB_PIPE_H

#include <stddef.h>
#include <sys/types.h>

enum {
    /* Bytes at most of one move. Large writes are what makes it pay: ext4 needs half the time for
     * 1 MiB in one than in four. */
    LB_PIPE_MOST = 1 << 20,
    /* A piece at least so large is worth two system calls more, and one that is smaller is not. */
    LB_PIPE_LEAST = 64 << 10,
};

/* How a stream's bytes come to its sink. */
enum lb_way {
    LB_WAY_CHUNKS,  /* received into slots, lent to write */
    LB_WAY_TO_PIPE, /* spliced into a pipe that is the sink's */
    LB_WAY_TO_FILE, /* spliced to a file */
    LB_WAY_PLACED,  /* received into memory that is the sink's */
};

struct lb_pipe {
    int pipe[2];    /* -1 until needed */
    size_t waiting; /* bytes in it */
};

void lb_pipe_init(struct lb_pipe *state);

/* What waits in the pipe is gone with it. The next move makes a new one. */
void lb_pipe_done(struct lb_pipe *state);

/* Prepares for moves to target. Returns how they go: LB_WAY_CHUNKS if it is neither a pipe nor a
 * regular file, or if there is no pipe of a useful size to be had. */
enum lb_way lb_pipe_prepare(struct lb_pipe *state, int target);

/*
 * Moves at most `most` bytes. The socket has been told to be readable, and nobody else reads it.
 * Nothing waits in the pipe. Returns how many came to target, and
 * - 0: the socket's EOF, perhaps, or something that can't be spliced: receive to find out.
 *   If bytes wait in the pipe now, target didn't take them: they come first (lb_pipe_take).
 * - -EAGAIN: the socket had nothing after all. -ENOBUFS: target, a pipe, is full.
 * - any other -errno: the socket's error.
 */
ssize_t lb_pipe_move(struct lb_pipe *state, int socket, int target, enum lb_way way, size_t most);

/* Takes bytes that wait in the pipe. Returns how many, or -errno. */
ssize_t lb_pipe_take(struct lb_pipe *state, void *data, size_t size);

#endif
