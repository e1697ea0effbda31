/* SPDX-License-Identifier: MIT */
#include "line.h"

#include "tls_line.h"

#include <errno.h>
#include <sys/socket.h>

ssize_t line_send(struct line *line, const void *data, size_t size)
{
    ssize_t sent;

    if (line->tls)
        return tls_line_send(line, data, size);
    sent = send(line->socket, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? errno == EINTR ? -EAGAIN : -errno : sent;
}

/* A fatal alert in answer to what was no TLS. */
static bool is_alert(const unsigned char *data, size_t size)
{
    static const unsigned char alert = 21, version = 3, fatal = 2;

    return size == 7 && data[0] == alert && data[1] == version && data[3] == 0 && data[4] == 2 &&
           data[5] == fatal;
}

ssize_t line_receive(struct line *line, void *data, size_t size)
{
    ssize_t got;

    if (line->tls)
        return tls_line_receive(line, data, size);
    got = recv(line->socket, data, size, MSG_DONTWAIT);
    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (!line->heard && is_alert(data, (size_t)got)) {
        line->why = "the server speaks TLS; use --tls, or --pin with the pin that its recv prints";
        return -EACCES;
    }
    line->heard = true;
    return got;
}

int line_end(struct line *line)
{
    return line->tls ? tls_line_end(line) : 0;
}

void line_close(struct line *line)
{
    if (line->tls)
        tls_line_close(line);
    line->tls = NULL;
}
