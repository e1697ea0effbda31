/* SPDX-License-Identifier: MIT */
/* The file of a Unix socket that listens: who makes it, who may take it over, and who removes it.
 */
#ifndef LB_SOCKET_FILE_H
#define LB_SOCKET_FILE_H

#include <lastbyte/lastbyte.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct lb_socket_file {
    char *path;   /* NULL: there is none */
    dev_t device; /* its identity, so that only our own is removed */
    ino_t inode;
};

/* Binds fd to a path; mode: its permissions, 0: what the umask leaves. A file that a dead server
 * has left is taken over, by one of those that try at the same time. Returns 0, or -errno with an
 * error that says why, unless it is empty and errno is all there is to say: -EADDRINUSE for a
 * server that lives there, and for a file that is no socket. */
int lb_socket_file_bind(struct lb_socket_file *file, int fd, const struct sockaddr_un *address,
                        socklen_t address_size, unsigned mode, struct lb_error *error);

/* Removes it, if it is ours still, while the socket is open: afterwards another server may take the
 * path over, and its file may even get the same inode. */
void lb_socket_file_remove(const struct lb_socket_file *file);
void lb_socket_file_done(struct lb_socket_file *file);

#endif
