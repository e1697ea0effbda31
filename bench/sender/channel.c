/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- through TLS ----------------------------------------------------------------------------- */

/* TLS 1.3 with AES-128-GCM, whatever the receiver would rather have, and whoever it is. */
static SSL_CTX *context(void)
{
    static SSL_CTX *made;

    if (made)
        return made;
    made = SSL_CTX_new(TLS_client_method());
    if (!made || SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(made, "TLS_AES_128_GCM_SHA256") != 1)
        return NULL;
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    return made;
}

static int tls_fail(struct channel *channel, const char *what, int rc)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    int error = SSL_get_error(channel->ssl, rc) == SSL_ERROR_SYSCALL ? errno : 0;

    return sender_fail(channel->sender, reason ? reason : what, error);
}

static int tls_open(struct channel *channel)
{
    SSL_CTX *ctx = context();

    if (!channel->waits && fcntl(channel->fd, F_SETFL, O_NONBLOCK) < 0)
        return sender_fail(channel->sender, "fcntl", errno);
    channel->ssl = ctx ? SSL_new(ctx) : NULL;
    if (!channel->ssl || SSL_set_fd(channel->ssl, channel->fd) != 1)
        return sender_fail(channel->sender, "no TLS", 0);
    SSL_set_connect_state(channel->ssl);
    return 0;
}

static ssize_t tls_send(struct channel *channel, const void *data, size_t size)
{
    int sent;

    ERR_clear_error();
    sent = SSL_write(channel->ssl, data, (int)size);
    if (sent > 0)
        return sent;
    switch (SSL_get_error(channel->ssl, sent)) {
    case SSL_ERROR_WANT_READ:
        channel->wants = EPOLLIN;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        channel->wants = EPOLLOUT;
        return 0;
    default:
        return tls_fail(channel, "SSL_write", sent);
    }
}

static int tls_end(struct channel *channel)
{
    int rc;

    ERR_clear_error();
    rc = SSL_shutdown(channel->ssl);
    return rc < 0 ? tls_fail(channel, "SSL_shutdown", rc) : 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

int channel_open(struct channel *channel, struct sender *sender, uint64_t stream, bool waits)
{
    *channel = (struct channel){
        .sender = sender,
        .fd = sender_connect(sender, stream),
        .waits = waits,
        .wants = EPOLLOUT,
    };
    if (channel->fd < 0)
        return -1;
    if (!(sender->trial->workload->demands & DEMAND_TLS) || tls_open(channel) == 0)
        return 0;
    channel_close(channel);
    return -1;
}

ssize_t channel_send(struct channel *channel, const void *data, size_t size)
{
    int flags = MSG_NOSIGNAL | (channel->waits ? 0 : MSG_DONTWAIT);
    ssize_t sent;

    if (channel->ssl)
        return tls_send(channel, data, size);
    do
        sent = send(channel->fd, data, size, flags);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN ? 0 : sender_fail(channel->sender, "send", errno);
    return sent;
}

int channel_half_close(struct channel *channel)
{
    if (channel->ssl && tls_end(channel) < 0)
        return -1;
    return shutdown(channel->fd, SHUT_WR) < 0 ? sender_fail(channel->sender, "shutdown", errno) : 0;
}

int channel_finish(struct channel *channel)
{
    int rc = channel_half_close(channel);

    if (rc == 0)
        rc = sender_await_close(channel->sender, channel->fd);
    channel_close(channel);
    return rc;
}

void channel_close(struct channel *channel)
{
    SSL_free(channel->ssl);
    channel->ssl = NULL;
    if (channel->fd >= 0)
        close(channel->fd);
    channel->fd = -1;
}
