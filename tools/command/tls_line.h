/* SPDX-License-Identifier: MIT */
#ifndef TLS_LINE_H
#define TLS_LINE_H

#include "line.h"
#include "pin_list.h"

#include <stdint.h>

/* TLS as the sender's side has it. In a build without libssl none of it is asked for. */

/* What the options say. */
struct tls_settings {
    bool on;
    const char *ca;              /* a file; NULL: the system's */
    const struct pin_list *pins; /* the server's key is one of these, whatever its certificate says;
                                    empty: the certificate is verified, and its name */
    const char *psk;             /* a file with the key that both have; NULL: none */
    const char *dir;             /* where our own key is kept; NULL: the state directory */
};

/* What all connections to a server have in common. */
struct tls_client;

/* For a server of that address. Returns an exit status after telling what is wrong; *opened is to
 * be closed in any case. */
int tls_client_open(struct tls_client **opened, const struct tls_settings *settings,
                    const char *address);
void tls_client_close(struct tls_client *client);

/* Why a handshake failed. */
struct tls_failure {
    char why[600]; /* for a person, behind the server's address */
    bool final;    /* another try would fail as well */
};

/* Shakes hands over the line's non-blocking socket. deadline_ns: of the monotonic clock; stop_fd:
 * readable once that is to be given up; or -1. From any thread. 0: the line goes through TLS until
 * line_close; -ECANCELED; or another -errno with failure. */
int tls_line_open(struct line *line, struct tls_client *client, uint64_t deadline_ns, int stop_fd,
                  struct tls_failure *failure);

/* As line_*. -EACCES: the server has found out who we are, and refuses that: it has taken nothing.
 */
ssize_t tls_line_send(struct line *line, const void *data, size_t size);
ssize_t tls_line_receive(struct line *line, void *data, size_t size);
int tls_line_end(struct line *line);
void tls_line_close(struct line *line);

#endif
