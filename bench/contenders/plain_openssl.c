/* SPDX-License-Identifier: MIT */
/* The TLS server that people write first: plain_epoll's, with SSL_read in place of recv. */
#include "identity.h"
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 << 10, EVENTS_MAX = 64 };

struct connection {
    SSL *ssl;
    struct tally tally;
};

struct server {
    struct receiver *receiver;
    SSL_CTX *ctx;
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
        connection->ssl = SSL_new(server->ctx);
        if (!connection->ssl || SSL_set_fd(connection->ssl, fd) != 1) {
            free(connection);
            return -1;
        }
        SSL_set_accept_state(connection->ssl);
        tally_begin(server->receiver, &connection->tally);
        if (add(server, fd, connection) < 0)
            return -1;
    }
}

static void end(struct server *server, struct connection *connection, int error)
{
    int fd = SSL_get_fd(connection->ssl);

    if (error == 0)
        SSL_shutdown(connection->ssl);
    tally_end(server->receiver, &connection->tally, error);
    SSL_free(connection->ssl);
    close(fd);
    free(connection);
}

/* What it says fits into an empty socket: it only ever waits for something to read. */
static void receive_some(struct server *server, struct connection *connection)
{
    int got;

    ERR_clear_error();
    while ((got = SSL_read(connection->ssl, server->buffer, BUFFER_SIZE)) > 0)
        tally_take(server->receiver, &connection->tally, server->buffer, (size_t)got);
    switch (SSL_get_error(connection->ssl, got)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_ZERO_RETURN:
        end(server, connection, 0);
        break;
    default:
        end(server, connection, EIO);
    }
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

int plain_openssl_receive(const struct contender *contender, struct receiver *receiver)
{
    struct server server = {
        .receiver = receiver,
        .ctx = identity_context(),
        .listener = receiver_listen(receiver),
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .buffer = malloc(BUFFER_SIZE),
    };
    int rc = -1;

    if (server.ctx && contender->buffer_size) {
        SSL_CTX_set_read_ahead(server.ctx, 1);
        SSL_CTX_set_default_read_buffer_len(server.ctx, contender->buffer_size);
    }
    if (server.listener < 0)
        rc = -1;
    else if (!server.ctx || server.epoll < 0 || !server.buffer ||
             fcntl(server.listener, F_SETFL, O_NONBLOCK) < 0)
        rc = receiver_fail(receiver, "setting up TLS and epoll", errno);
    else
        rc = serve(&server);
    SSL_CTX_free(server.ctx);
    free(server.buffer);
    if (server.epoll >= 0)
        close(server.epoll);
    if (server.listener >= 0)
        close(server.listener);
    return rc;
}
