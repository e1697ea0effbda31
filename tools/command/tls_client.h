/* SPDX-License-Identifier: MIT */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include "pin.h"
#include "psk.h"
#include "tls_line.h"

#include <openssl/ssl.h>

/* The inside of a struct tls_client: who the server has to be, and who we are. */

enum { TLS_HOST_SIZE = 256 };

struct tls_client {
    const struct tls_settings *settings;
    char host[TLS_HOST_SIZE]; /* as its certificate should name it; empty: it has no name */
    struct lb_pin *pins;
    size_t pin_count;
    struct lb_psk_list psks;
    SSL_CTX *ctx;
};

/* What was found out about a server; the application's data of its SSL. */
struct tls_server {
    struct lb_pin pin;
    bool seen;    /* it has shown a certificate; pin is its key's */
    bool refused; /* by us */
};

/* Makes an SSL that will find out. NULL: out of memory. */
SSL *tls_client_meet(const struct tls_client *client, struct tls_server *server);

#endif
