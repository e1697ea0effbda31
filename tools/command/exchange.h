/* SPDX-License-Identifier: MIT */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "answer.h"
#include "input.h"
#include "proof.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One stream over one connection: everything there is to send, our EOF, then the server's. */
struct exchange {
    const struct input *inputs; /* sent one behind the other */
    size_t count;
    struct answer *answer;
    struct proof *proof;        /* to be made of what is sent; NULL: no receipt is wanted */
    _Atomic uint64_t *progress; /* bytes sent, added to as they go */

    /* Filled by exchange_run. */
    uint64_t bytes; /* that the socket took */
    bool ended;     /* our EOF was sent: from then on the receiver may hold the stream complete */
    bool answered;  /* the server's EOF came */
    bool server;    /* the connection failed, not an input: sending again may help */
    char why[300];  /* after a failure, for a person */
};

/* Sends the stream over the connected socket, which is closed in any case. Until our EOF is sent
 * every failure, our own death too, resets the connection (TCP only), so that the receiver can't
 * take a part for the whole. Where a receipt is wanted, a server that ends its answer before that is
 * such a failure. Returns 0 when the server closed after everything was sent and acknowledged;
 * -errno otherwise. */
int exchange_run(struct exchange *exchange, int socket);

#endif
