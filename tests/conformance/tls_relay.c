/* SPDX-License-Identifier: MIT */
#include "tls_relay.h"

#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 64 << 10, TURNS = 4 /* of a pair, before others have theirs */ };

/* One direction: what was read and not yet written. */
struct flow {
    size_t begin, end;
    bool over;   /* nothing more will be read */
    bool closed; /* and its end was passed on */
    char bytes[PIECE];
};

struct pair {
    int peer, engine;
    SSL *ssl;
    bool greeted; /* the handshake is over */
    bool reset;   /* the peer has: what it said goes before */
    struct flow in, out;
};

static SSL_CTX *ctx;
static const char *target;
static int poller;

static void reset_on_close(int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void drop(struct pair *pair)
{
    SSL_free(pair->ssl);
    close(pair->peer);
    close(pair->engine);
    free(pair);
}

static bool moved(struct flow *flow, ssize_t size)
{
    if (size > 0)
        flow->begin += (size_t)size;
    if (flow->begin == flow->end)
        flow->begin = flow->end = 0;
    return size > 0;
}

/* ---- from the peer --------------------------------------------------------------------------- */

static bool read_peer(struct pair *pair)
{
    struct flow *in = &pair->in;
    ssize_t size;

    if (in->over || in->end > 0 || !pair->greeted)
        return false;
    size = recv(pair->peer, in->bytes, PIECE, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN)
        return false;
    in->over = size <= 0;
    pair->reset = size < 0;
    in->end = size > 0 ? (size_t)size : 0;
    return true;
}

static bool write_engine(struct pair *pair)
{
    struct flow *in = &pair->in;

    if (!pair->greeted || in->begin == in->end)
        return false;
    return moved(in, SSL_write(pair->ssl, in->bytes + in->begin, (int)(in->end - in->begin)));
}

/* Returns false once the pair has gone. */
static bool end_engine(struct pair *pair)
{
    int unsent = 0;

    if (pair->reset) {
        do {
            if (unsent)
                time_nap();
        } while (ioctl(pair->engine, SIOCOUTQ, &unsent) == 0 && unsent > 0);
        reset_on_close(pair->engine);
        return false;
    }
    pair->in.closed = true;
    SSL_shutdown(pair->ssl);
    shutdown(pair->engine, SHUT_WR);
    return true;
}

/* ---- from the engine ------------------------------------------------------------------------- */

/* Returns 1: something has moved; 0: not; -1: the engine has cut the connection off. */
static int read_engine(struct pair *pair)
{
    struct flow *out = &pair->out;
    int size;

    if (out->over || out->end > 0)
        return 0;
    size = SSL_read(pair->ssl, out->bytes, PIECE);
    if (size > 0) {
        out->end = (size_t)size;
        return 1;
    }
    switch (SSL_get_error(pair->ssl, size)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        out->over = true;
        return 1;
    default:
        return -1;
    }
}

static bool write_peer(struct pair *pair)
{
    struct flow *out = &pair->out;
    ssize_t size;

    if (out->begin == out->end)
        return false;
    size = send(pair->peer, out->bytes + out->begin, out->end - out->begin,
                MSG_DONTWAIT | MSG_NOSIGNAL);
    return moved(out, size);
}

/* ---- both ------------------------------------------------------------------------------------ */

static int shake_hands(struct pair *pair)
{
    int rc = SSL_connect(pair->ssl), error = SSL_get_error(pair->ssl, rc);

    pair->greeted = rc == 1;
    return rc == 1 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? rc == 1 : -1;
}

/* Returns 1: something has moved; 0: not; -1: the pair is over. */
static int step(struct pair *pair)
{
    int greeted, heard;

    ERR_clear_error(); /* another pair's */
    greeted = pair->greeted ? 0 : shake_hands(pair);

    if (greeted < 0)
        reset_on_close(pair->peer);
    if (greeted < 0 || !pair->greeted)
        return greeted;
    bool moving = read_peer(pair);
    moving = write_engine(pair) || moving;
    if (pair->in.over && pair->in.end == 0 && !pair->in.closed) {
        if (!end_engine(pair))
            return -1;
        moving = true;
    }
    heard = read_engine(pair);
    if (heard < 0) {
        reset_on_close(pair->peer);
        return -1;
    }
    moving = write_peer(pair) || heard || moving;
    if (pair->out.over && pair->out.end == 0 && !pair->out.closed) {
        shutdown(pair->peer, SHUT_WR);
        pair->out.closed = true;
    }
    return pair->in.closed && pair->out.closed ? -1 : moving || greeted;
}

/* Waits only for what would move something. */
static void rearm(struct pair *pair)
{
    struct epoll_event peer = {.data.ptr = pair}, engine = {.data.ptr = pair, .events = EPOLLIN};

    if (pair->greeted && !pair->in.over && pair->in.end == 0)
        peer.events |= EPOLLIN;
    if (pair->out.end > 0)
        peer.events |= EPOLLOUT;
    if (pair->out.over || pair->out.end > 0)
        engine.events = 0;
    if (pair->in.end > 0 || SSL_want_write(pair->ssl))
        engine.events |= EPOLLOUT;
    epoll_ctl(poller, EPOLL_CTL_MOD, pair->peer, &peer);
    epoll_ctl(poller, EPOLL_CTL_MOD, pair->engine, &engine);
}

static void go_on(struct pair *pair)
{
    int rc = 1;

    for (int turn = 0; turn < TURNS && rc > 0; turn++)
        rc = step(pair);
    if (rc < 0)
        drop(pair);
    else
        rearm(pair);
}

static void take(int peer)
{
    struct epoll_event event = {.events = 0};
    struct pair *pair = calloc(1, sizeof(*pair));
    const int one = 1;

    pair->peer = peer;
    pair->engine = peer_connect_begin(target);
    setsockopt(pair->engine, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(pair->peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    pair->ssl = SSL_new(ctx);
    SSL_set_fd(pair->ssl, pair->engine);
    event.data.ptr = pair;
    epoll_ctl(poller, EPOLL_CTL_ADD, pair->peer, &event);
    epoll_ctl(poller, EPOLL_CTL_ADD, pair->engine, &event);
    go_on(pair);
}

/* One at a time: a second event may name a pair that the first has ended. */
static void serve(int listener)
{
    struct epoll_event ready, event = {.events = EPOLLIN};

    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poller, &ready, 1, -1);

        if (count > 0 && ready.data.ptr)
            go_on(ready.data.ptr);
        else if (count > 0)
            take(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    }
}

static int run(int listener)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    if (listener != 3)
        dup2(listener, 3);
    close_range(4, ~0U, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    serve(3);
    return 0;
}

int tls_relay_start(struct tls_relay *relay, const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(in);

    if (listener < 0 || bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 ||
        listen(listener, SOMAXCONN) < 0 || getsockname(listener, (struct sockaddr *)&in, &size) < 0)
        return -errno;
    snprintf(relay->address, sizeof(relay->address), "127.0.0.1:%d", ntohs(in.sin_port));
    target = address;
    relay->process = fork();
    if (relay->process == 0)
        _exit(run(listener));
    close(listener);
    return relay->process < 0 ? -errno : 0;
}

void tls_relay_stop(struct tls_relay *relay)
{
    if (relay->process <= 0)
        return;
    kill(relay->process, SIGKILL);
    waitpid(relay->process, NULL, 0);
    relay->process = 0;
}
