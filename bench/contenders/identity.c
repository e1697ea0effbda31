/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include "certificate.h"

#include <stdio.h>
#include <sys/mman.h>

const char *identity_path(void)
{
    static char path[40];
    int fd;

    if (path[0])
        return path;
    fd = memfd_create("identity", MFD_CLOEXEC);
    if (fd < 0 || !certificate_write(fd))
        return NULL;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return path;
}

SSL_CTX *identity_context(void)
{
    const char *path = identity_path();
    SSL_CTX *ctx = path ? SSL_CTX_new(TLS_server_method()) : NULL;

    if (ctx && SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
        SSL_CTX_use_certificate_chain_file(ctx, path) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}
