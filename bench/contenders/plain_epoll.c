/* SPDX-License-Identifier: MIT */
/* The epoll server that people write first: level-triggered, one receive for each readiness, one
 * buffer for all streams. */
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 << 10, EVENTS_MAX = 64 };

struct connection {
    int fd;
    struct tally tally;
};

struct server {
    struct receiver *receiver;
    int listener, epoll;
    char *buffer;
};

static int add(const struct server *server, int fd, void *pointer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = pointer};

    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int accept_all(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct connection *connection;

        if (fd < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        connection = malloc(sizeof(*connection));
        if (!connection)
            return -1;
        connection->fd = fd;
        tally_begin(server->receiver, &connection->tally);
        if (add(server, fd, connection) < 0)
            return -1;
    }
}

static void receive_some(struct server *server, struct connection *connection)
{
    ssize_t got = recv(connection->fd, server->buffer, BUFFER_SIZE, 0);

    if (got > 0) {
        tally_take(server->receiver, &connection->tally, server->buffer, (size_t)got);
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    tally_end(server->receiver, &connection->tally, got < 0 ? errno : 0);
    close(connection->fd);
    free(connection);
}

static int serve(struct server *server)
{
    struct epoll_event events[EVENTS_MAX];

    if (add(server, server->listener, NULL) < 0)
        return receiver_fail(server->receiver, "epoll_ctl", errno);
    receiver_ready(server->receiver, NULL);
    while (!receiver_finished(server->receiver)) {
        int count = epoll_wait(server->epoll, events, EVENTS_MAX, -1);

        if (count < 0 && errno != EINTR)
            return receiver_fail(server->receiver, "epoll_wait", errno);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                receive_some(server, events[i].data.ptr);
            else if (accept_all(server) < 0)
                return receiver_fail(server->receiver, "accept", errno);
        }
    }
    receiver_done(server->receiver);
    return 0;
}

int plain_epoll_receive(const struct contender *contender, struct receiver *receiver)
{
    struct server server = {
        .receiver = receiver,
        .listener = receiver_listen(receiver),
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .buffer = malloc(BUFFER_SIZE),
    };
    int rc = -1;

    (void)contender;
    if (server.listener < 0)
        rc = -1;
    else if (server.epoll < 0 || !server.buffer || fcntl(server.listener, F_SETFL, O_NONBLOCK) < 0)
        rc = receiver_fail(receiver, "setting up epoll", errno);
    else
        rc = serve(&server);
    free(server.buffer);
    if (server.epoll >= 0)
        close(server.epoll);
    if (server.listener >= 0)
        close(server.listener);
    return rc;
}
