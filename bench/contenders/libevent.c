/* SPDX-License-Identifier: MIT */
/* libevent as it is used: a bufferevent for each stream, drained when it has something. */
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <stdlib.h>

enum { PIECES_MAX = 16, READ_MAX = 64 << 10 };

struct connection {
    struct server *server;
    struct tally tally;
};

struct server {
    struct receiver *receiver;
    struct event_base *base;
};

static void on_read(struct bufferevent *buffered, void *context)
{
    struct connection *connection = context;
    struct evbuffer *input = bufferevent_get_input(buffered);
    struct evbuffer_iovec pieces[PIECES_MAX];
    int count;

    while ((count = evbuffer_peek(input, -1, NULL, pieces, PIECES_MAX)) > 0) {
        size_t size = 0;

        for (int i = 0; i < count && i < PIECES_MAX; i++) {
            tally_take(connection->server->receiver, &connection->tally, pieces[i].iov_base,
                       pieces[i].iov_len);
            size += pieces[i].iov_len;
        }
        evbuffer_drain(input, size);
    }
}

static void on_event(struct bufferevent *buffered, short what, void *context)
{
    struct connection *connection = context;
    struct server *server = connection->server;
    int error = what & BEV_EVENT_EOF ? 0 : EVUTIL_SOCKET_ERROR();

    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    if (tally_end(server->receiver, &connection->tally, error))
        event_base_loopbreak(server->base);
    bufferevent_free(buffered);
    free(connection);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int peer_size, void *context)
{
    struct server *server = context;
    struct connection *connection = malloc(sizeof(*connection));
    struct bufferevent *buffered = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)listener;
    (void)peer;
    (void)peer_size;
    if (!connection || !buffered) {
        arrivals_wrong(server->receiver->arrivals, "libevent: out of memory");
        free(connection);
        if (buffered)
            bufferevent_free(buffered);
        event_base_loopbreak(server->base);
        return;
    }
    connection->server = server;
    tally_begin(server->receiver, &connection->tally);
    bufferevent_setcb(buffered, on_read, NULL, on_event, connection);
    bufferevent_set_max_single_read(buffered, READ_MAX);
    bufferevent_enable(buffered, EV_READ);
}

int libevent_receive(const struct contender *contender, struct receiver *receiver)
{
    struct server server = {.receiver = receiver, .base = event_base_new()};
    int fd = server.base ? receiver_listen(receiver) : -1;
    struct evconnlistener *listener = NULL;

    (void)contender;
    if (!server.base)
        return receiver_fail(receiver, "event_base_new", 0);
    if (fd >= 0) {
        evutil_make_socket_nonblocking(fd);
        listener = evconnlistener_new(server.base, on_accept, &server, LEV_OPT_CLOSE_ON_FREE,
                                      RECEIVER_BACKLOG, fd);
    }
    if (listener) {
        receiver_ready(receiver, NULL);
        event_base_dispatch(server.base);
        receiver_done(receiver);
        evconnlistener_free(listener);
    } else if (fd >= 0) {
        receiver_fail(receiver, "evconnlistener_new", 0);
    }
    event_base_free(server.base);
    return listener ? 0 : -1;
}
