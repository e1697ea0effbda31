/* SPDX-License-Identifier: MIT */
/* Who may send by TLS: those with a certificate by a CA, with a pinned key, or with a pre-shared
 * one; each that is asked for is another way to be let in, and none means everyone. */
#ifndef LB_TLS_CLIENTS_H
#define LB_TLS_CLIENTS_H

#include "pin.h"
#include "psk.h"

#include <lastbyte/lastbyte.h>

#include <openssl/ssl.h>

struct lb_tls_clients {
    const char *ca; /* a file; NULL: none */
    struct lb_pin *pins;
    size_t pin_count;
    struct lb_psk_list psks;
};

/* What became of one peer; the application's data of its SSL. */
struct lb_tls_who {
    char text[LB_IDENTITY_SIZE]; /* who it is; empty: nobody asked */
    bool refused;                /* it may not send */
};

/* 0, or -errno with error and nothing left behind. */
int lb_tls_clients_open(struct lb_tls_clients *clients, const struct lb_config *config,
                        struct lb_error *error);
void lb_tls_clients_close(struct lb_tls_clients *clients);

/* Has ctx ask its peers. clients lives as long as that. 0, or -errno with error. */
int lb_tls_clients_ask(struct lb_tls_clients *clients, SSL_CTX *ctx, struct lb_error *error);

#endif
