/* SPDX-License-Identifier: MIT */
#ifndef LB_PEM_H
#define LB_PEM_H

#include <openssl/types.h>

/* A file of certificates or a key, for PEM_read_bio_*; to be freed by BIO_free. Without a buffer of
 * the C library's, in which a key would be left behind. NULL with errno. */
BIO *lb_pem_open(const char *path);

/* Nobody is asked for a passphrase: a pem_password_cb that has none. */
int lb_pem_no_passphrase(char *buffer, int size, int writing, void *argument);

#endif
