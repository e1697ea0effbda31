/* SPDX-License-Identifier: MIT */
/* What all streams of an engine share for TLS: the certificate and its key, which may change while
 * it runs, and who may send. */
#ifndef LB_TLS_CONTEXT_H
#define LB_TLS_CONTEXT_H

#include "notes.h"

#include <openssl/ssl.h>

struct lb_tls_context;

/* config is borrowed until close. on_secret is told lines of libssl's key log, in handshakes; it
 * may be NULL. 0, or -errno with error. */
int lb_tls_context_open(struct lb_tls_context **opened, const struct lb_config *config,
                        SSL_CTX_keylog_cb_func on_secret, struct lb_error *error);
void lb_tls_context_close(struct lb_tls_context *context);

/* What a new peer is met with. Looks for changed files, at most once a second: a new pair that is
 * none leaves the old one in force, with a note; a program is told of both. NULL: out of memory.
 * From any thread. */
SSL *lb_tls_context_meet(struct lb_tls_context *context, struct lb_notes *notes);

#endif
