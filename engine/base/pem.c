/* SPDX-License-Identifier: MIT */
#include "pem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <unistd.h>

BIO *lb_pem_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    BIO *file = fd >= 0 ? BIO_new_fd(fd, BIO_CLOSE) : NULL;

    if (file)
        fcntl(fd, F_SETFL, 0); /* a pipe that nobody writes to doesn't hold us, another may */
    if (fd >= 0 && !file) {
        close(fd);
        errno = ENOMEM;
    }
    return file;
}

int lb_pem_no_passphrase(char *buffer, int size, int writing, void *argument) /* NOLINT: libssl's */
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)argument;
    return -1;
}
