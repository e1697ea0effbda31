/* SPDX-License-Identifier: MIT */
/* Listening sockets: one per worker where the kernel can spread peers over several, else shared. */
#ifndef LB_LISTENER_H
#define LB_LISTENER_H

#include "socket_file.h"

#include <lastbyte/lastbyte.h>

#include <stdatomic.h>

/* One bound address. */
struct lb_listener {
    int *fds; /* one per worker, or one for all */
    unsigned count;
    bool borrowed; /* fd:N: the descriptor is not ours to close */
    bool is_unix;
    _Atomic bool lent;          /* others may accept from it: no shutdown, and its file stays */
    pid_t owner;                /* the process that made it */
    char *name;                 /* as one connects to it */
    struct lb_socket_file file; /* of a Unix socket in the file system */
};

struct lb_listener_list {
    struct lb_listener *items;
    size_t count;
};

struct lb_listener_options {
    unsigned sockets;      /* per TCP address: one for each worker, or 1 */
    int backlog;           /* 0: what the system allows */
    size_t rcvbuf;         /* 0: the kernel's own tuning */
    unsigned unix_mode;    /* of a Unix socket in the file system; 0: what the umask leaves */
    unsigned keepalive_ms; /* see struct lb_config; 0: off */
};

/* Binds and listens on every address. On failure nothing is left behind. */
int lb_listener_open(struct lb_listener_list *list, const char *const *addresses,
                     const struct lb_listener_options *options, struct lb_error *error);
void lb_listener_close(struct lb_listener_list *list);

/* Gives a connection that came by none of them what theirs have: keepalive, a reset if this process
 * dies; and it is close-on-exec, and blocks. */
int lb_listener_adopt(int fd, unsigned keepalive_ms);

/* Closes the sockets: new peers are refused, those in the backlog are reset. A borrowed socket
 * stays as it is, and so do the names. */
void lb_listener_shut(struct lb_listener_list *list);

/* The index-th of all sockets, for others to accept from as well from now on; -ENOENT past the
 * last, and once they are shut. Still the list's to close. */
int lb_listener_lend(struct lb_listener_list *list, size_t index);

/* A connection that was accepted from a borrowed socket is reset if this process dies, as those of
 * our own sockets are. */
void lb_listener_mark(int connection);

/* The descriptor of listener that the worker accepts from. */
static inline int lb_listener_fd(const struct lb_listener *listener, unsigned worker)
{
    return listener->fds[listener->count > 1 ? worker : 0];
}

#endif
