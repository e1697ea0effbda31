/* SPDX-License-Identifier: MIT */
/* A relay in front of an engine that speaks TLS: peers of the suite speak plain TCP to it, and what
 * they do, it does in TLS. Their EOF is a close_notify, their reset a reset; the engine's
 * close_notify is its EOF, and anything else that ends a connection a reset. A process of its own,
 * so that it is in no count of descriptors and threads. */
#ifndef TLS_RELAY_H
#define TLS_RELAY_H

#include <stddef.h>
#include <sys/types.h>

struct tls_relay {
    pid_t process;
    char address[64]; /* 127.0.0.1:PORT */
};

/* In front of 127.0.0.1:PORT. 0 or -errno. */
int tls_relay_start(struct tls_relay *relay, const char *address);
void tls_relay_stop(struct tls_relay *relay);

#endif
