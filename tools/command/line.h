/* SPDX-License-Identifier: MIT */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The line to a server: a connected non-blocking socket, and what stands between it and the
 * stream: nothing, or TLS (tls_line.h). */
struct line {
    int socket;
    void *tls;           /* struct tls_line; NULL: plain */
    const char *why;     /* of a failure, if errno can't tell it; static */
    bool heard;          /* something */
    bool unproven;       /* the server's EOF was one that anybody on the way can make */
    bool wants_to_write; /* before it can go on: poll for that too */
};

/* Each returns how many bytes it moved, -EAGAIN when the socket has to be polled first, or another
 * -errno. 0 of line_receive is the server's end. */
ssize_t line_send(struct line *line, const void *data, size_t size);
ssize_t line_receive(struct line *line, void *data, size_t size);

/* Says that this was all, in TLS; the socket is for the caller to shut down. 0, or as above. */
int line_end(struct line *line);

/* Closes what stands between, and not the socket. */
void line_close(struct line *line);

#endif
