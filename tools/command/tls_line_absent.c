/* SPDX-License-Identifier: MIT */
/* In place of TLS where libssl is not: the options that would ask for it are refused before. */
#include "tls_line.h"

#include "command.h"

#include <errno.h>

int tls_client_open(struct tls_client **opened, const struct tls_settings *settings,
                    const char *address)
{
    (void)opened;
    (void)settings;
    (void)address;
    return STATUS_NO_START;
}

void tls_client_close(struct tls_client *client)
{
    (void)client;
}

int tls_line_open(struct line *line, struct tls_client *client, uint64_t deadline_ns, int stop_fd,
                  struct tls_failure *failure)
{
    (void)line;
    (void)client;
    (void)deadline_ns;
    (void)stop_fd;
    (void)failure;
    return -ENOTSUP;
}

ssize_t tls_line_send(struct line *line, const void *data, size_t size)
{
    (void)line;
    (void)data;
    (void)size;
    return -ENOTSUP;
}

ssize_t tls_line_receive(struct line *line, void *data, size_t size)
{
    (void)line;
    (void)data;
    (void)size;
    return -ENOTSUP;
}

int tls_line_end(struct line *line)
{
    (void)line;
    return -ENOTSUP;
}

void tls_line_close(struct line *line)
{
    (void)line;
}
