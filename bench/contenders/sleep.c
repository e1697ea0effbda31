/* SPDX-License-Identifier: MIT */
/* The barest loop that gathers for 1 ms: a floor under whoever does so with a system call for each
 * receive. It always sleeps, so nobody would have it as a server: a byte waits even where there is
 * time for it at once. Readiness is asked for and never waited for; to receive from all streams
 * instead costs as much with 64, and takes several times the system calls with 1,000, which mostly
 * have nothing to say. */
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_SIZE = 128 << 10, SLEEP_NS = 1000000, SLACK_NS = 1 };

struct connection {
    int fd;
    struct tally tally;
};

struct server {
    struct receiver *receiver;
    int listener, epoll, flags;
    unsigned opened;
    struct connection *connections; /* the trial's streams */
    struct epoll_event *events;     /* as many */
    char *buffer;
};

static int accept_all(struct server *server)
{
    while (server->opened < server->receiver->trial->streams) {
        struct connection *connection = &server->connections[server->opened];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

        connection->fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection->fd < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        server->opened++;
        tally_begin(server->receiver, &connection->tally);
        if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
            return -1;
    }
    return 0;
}

static void receive_some(struct server *server, struct connection *connection)
{
    ssize_t got = recv(connection->fd, server->buffer, BUFFER_SIZE, server->flags);

    if (got > 0) {
        if (server->flags & MSG_TRUNC)
            connection->tally.bytes += (size_t)got;
        else
            tally_take(server->receiver, &connection->tally, server->buffer, (size_t)got);
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    tally_end(server->receiver, &connection->tally, got < 0 ? errno : 0);
    close(connection->fd);
}

static int serve(struct server *server)
{
    static const struct timespec pause = {.tv_nsec = SLEEP_NS};
    int streams = (int)server->receiver->trial->streams;

    receiver_ready(server->receiver, NULL);
    while (!receiver_finished(server->receiver)) {
        int count;

        nanosleep(&pause, NULL);
        if (accept_all(server) < 0)
            return receiver_fail(server->receiver, "accept", errno);
        count = epoll_wait(server->epoll, server->events, streams, 0);
        if (count < 0 && errno != EINTR)
            return receiver_fail(server->receiver, "epoll_wait", errno);
        for (int i = 0; i < count; i++)
            receive_some(server, server->events[i].data.ptr);
    }
    receiver_done(server->receiver);
    return 0;
}

static bool set_up(const struct server *server)
{
    return server->epoll >= 0 && server->connections && server->events && server->buffer &&
           fcntl(server->listener, F_SETFL, O_NONBLOCK) == 0 &&
           prctl(PR_SET_TIMERSLACK, SLACK_NS) == 0;
}

int sleep_receive(const struct contender *contender, struct receiver *receiver)
{
    unsigned streams = receiver->trial->streams;
    struct server server = {
        .receiver = receiver,
        .listener = receiver_listen(receiver),
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .flags = contender->drops ? MSG_TRUNC : 0,
        .connections = calloc(streams, sizeof(*server.connections)),
        .events = calloc(streams, sizeof(*server.events)),
        .buffer = malloc(BUFFER_SIZE),
    };
    int rc = -1;

    if (server.listener >= 0 && set_up(&server))
        rc = serve(&server);
    else if (server.listener >= 0)
        receiver_fail(receiver, "setting up epoll", errno);
    free(server.buffer);
    free(server.events);
    free(server.connections);
    if (server.epoll >= 0)
        close(server.epoll);
    if (server.listener >= 0)
        close(server.listener);
    return rc;
}
