/* SPDX-License-Identifier: MIT */
/* The best that an epoll server can be made in one file: a large buffer, many events at a time, no
 * wait for what is there already (the first bytes of a stream, its end behind a receive that left
 * nothing), bytes gather while the thread is short of time, and ACKs of small messages are spared
 * meanwhile. It can do one thing otherwise (changes.h). */
#include "changes.h"
#include "nap.h"
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 << 10, EVENTS_MAX = 1024 };

struct connection {
    int fd;
    bool spares; /* ACKs */
    struct tally tally;
};

struct server {
    struct receiver *receiver;
    int listener, epoll;
    struct nap nap;
    uint64_t bytes; /* of this turn */
    char *buffer;
    struct epoll_event events[EVENTS_MAX];
};

static int add(const struct server *server, int fd, void *pointer)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = pointer};

    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void end(const struct server *server, struct connection *connection, int error)
{
    tally_end(server->receiver, &connection->tally, error);
    close(connection->fd);
    free(connection);
}

/* Returns what came, 0 if there was nothing, or -1 once the stream has ended. */
static ssize_t receive_once(struct server *server, struct connection *connection)
{
    ssize_t got = recv(connection->fd, server->buffer, BUFFER_SIZE, 0);

    if (got > 0) {
        server->bytes += (size_t)got;
        nap_spare_acks(connection->fd, &connection->spares, server->nap.ns && got <= NAP_SMALL);
        tally_take(server->receiver, &connection->tally, server->buffer, (size_t)got);
        return got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    end(server, connection, got < 0 ? errno : 0);
    return -1;
}

static int accept_one(struct server *server, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    ssize_t got;

    if (!connection)
        return -1;
    connection->fd = fd;
    tally_begin(server->receiver, &connection->tally);
    /* A short stream is all there: it never needs to be waited for. */
    got = receive_once(server, connection);
    if (got > 0 && got < BUFFER_SIZE)
        got = receive_once(server, connection);
    return got < 0 ? 0 : add(server, fd, connection);
}

static int accept_all(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        if (accept_one(server, fd) < 0)
            return -1;
    }
}

static void receive_some(struct server *server, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    ssize_t got = receive_once(server, connection);

    if (got > 0 && got < BUFFER_SIZE && event->events & EPOLLRDHUP)
        receive_once(server, connection);
}

static int serve(struct server *server)
{
    if (add(server, server->listener, NULL) < 0)
        return receiver_fail(server->receiver, "epoll_ctl", errno);
    nap_init(&server->nap);
    receiver_ready(server->receiver, NULL);
    while (!receiver_finished(server->receiver)) {
        int count;

        nap_take(&server->nap);
        count = epoll_wait(server->epoll, server->events, EVENTS_MAX, -1);
        if (count < 0 && errno != EINTR)
            return receiver_fail(server->receiver, "epoll_wait", errno);
        server->bytes = 0;
        for (int i = 0; i < count; i++) {
            if (server->events[i].data.ptr)
                receive_some(server, &server->events[i]);
            else if (accept_all(server) < 0)
                return receiver_fail(server->receiver, "accept", errno);
        }
        nap_turned(&server->nap, server->bytes);
    }
    receiver_done(server->receiver);
    return 0;
}

int best_epoll_receive(const struct contender *contender, struct receiver *receiver)
{
    static struct server server;
    int rc = -1;

    server = (struct server){
        .receiver = receiver,
        .listener = receiver_listen(receiver),
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .buffer = malloc(BUFFER_SIZE),
    };
    if (server.listener >= 0 && server.epoll >= 0 && server.buffer &&
        fcntl(server.listener, F_SETFL, O_NONBLOCK) == 0 &&
        change_epoll(server.epoll, contender->change) == 0 &&
        change_socket(server.listener, contender->change) == 0)
        rc = serve(&server);
    else if (server.listener >= 0)
        receiver_fail(receiver, "setting up epoll", errno);
    free(server.buffer);
    if (server.epoll >= 0)
        close(server.epoll);
    if (server.listener >= 0)
        close(server.listener);
    return rc;
}
