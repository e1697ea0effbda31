/* SPDX-License-Identifier: MIT */
#include "backlog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>

static bool is_shared(const struct lb_listener *listener)
{
    return listener->borrowed || listener->lent;
}

/* A Unix socket that is frozen is readable whether somebody waits there or not. */
static bool is_readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};

    return poll(&poller, 1, 0) > 0;
}

bool lb_backlog_waits(const struct lb_listener_list *list, unsigned worker)
{
    for (size_t i = 0; i < list->count; i++)
        if (!is_shared(&list->items[i]) && is_readable(lb_listener_fd(&list->items[i], worker)))
            return true;
    return false;
}

/* Of TCP the kernel drops what comes to the listening socket, and nothing that comes to those in
 * its backlog. A Unix socket that is shut down for reading refuses who comes (unix_stream_connect),
 * and gives out who waits. What fails leaves the door open for as long as we take in who comes. */
void lb_backlog_freeze(const struct lb_listener_list *list, unsigned worker)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &drop};

    for (size_t i = 0; i < list->count; i++) {
        int fd = lb_listener_fd(&list->items[i], worker);

        if (is_shared(&list->items[i]))
            continue;
        if (!list->items[i].is_unix)
            setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
        else if (is_readable(fd))
            shutdown(fd, SHUT_RD);
    }
}

/* The socket may be shared with processes that take the peer first. */
static int stop_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int take_from(int listener)
{
    int fd = stop_blocking(listener);

    if (fd < 0)
        return fd;
    do {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0 && (errno == ECONNABORTED || errno == EINTR));
    return fd < 0 ? -errno : fd;
}

/* Nobody waits there; EINVAL: and it is frozen. EBADF: it is closed. */
static bool is_empty(int error)
{
    return error == -EAGAIN || error == -EINVAL || error == -EBADF;
}

int lb_backlog_take(const struct lb_listener_list *list, unsigned worker, int *index)
{
    for (size_t i = 0; i < list->count; i++) {
        int fd = -EAGAIN;

        if (!is_shared(&list->items[i]))
            fd = take_from(lb_listener_fd(&list->items[i], worker));
        *index = (int)i;
        if (!is_empty(fd))
            return fd;
    }
    return -EAGAIN;
}

int lb_backlog_take_shared(const struct lb_listener_list *list, int *index)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct lb_listener *listener = &list->items[i];

        *index = (int)i;
        for (unsigned j = 0; is_shared(listener) && j < listener->count; j++) {
            int fd = take_from(listener->fds[j]);

            if (fd >= 0)
                return fd;
        }
    }
    return -EAGAIN;
}
