/* SPDX-License-Identifier: MIT */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "answer.h"
#include "input.h"
#include "line.h"
#include "patience.h"
#include "proof.h"
#include "source.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One stream over one connection: everything there is to send, our EOF, then the server's. */
struct exchange {
    struct input *inputs; /* sent one behind the other */
    size_t count;
    struct source_seal seal;
    struct answer *answer;
    struct proof *proof;        /* to be made of what is sent; NULL: no receipt is wanted */
    _Atomic uint64_t *progress; /* bytes sent, added to as they go; no seal's, like all below */
    struct patience_limits limits;

    /* Filled by exchange_run. */
    uint64_t bytes; /* that the socket took */
    bool ended;     /* our EOF was sent: from then on the receiver may hold the stream complete */
    bool answered;  /* the server's EOF came */
    bool server;    /* the connection failed, not an input: sending again may help */
    bool barred;    /* the server doesn't let us send, and has taken nothing */
    char why[600];  /* after a failure, for a person */
};

/* Sends the stream over the line, whose socket is closed with it in any case. A TCP socket must
 * have been connected with LB_CONNECT_RESET: until our EOF is sent every failure, our own death
 * too, resets the connection, so that the receiver can't take a part for the whole. (Of a Unix
 * socket a close is an EOF.) Where a receipt is wanted, a server that ends its answer before that
 * is such a failure, and so is one whose end TLS doesn't prove. Returns 0 when the server closed
 * after everything was sent and acknowledged; -ECANCELED when a signal has stopped a producer;
 * another -errno otherwise. */
int exchange_run(struct exchange *exchange, struct line *line);

#endif
