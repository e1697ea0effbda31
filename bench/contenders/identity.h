/* SPDX-License-Identifier: MIT */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <openssl/ssl.h>

/* Of a receiver that is reached through TLS: a key and its certificate in a PEM file, which exists
 * as long as this process. Static. NULL: none could be made. */
const char *identity_path(void);

/* What a plain server of that identity has, with libssl's defaults but for tickets, which it sends
 * none of, as ours. NULL: out of memory. */
SSL_CTX *identity_context(void);

#endif
