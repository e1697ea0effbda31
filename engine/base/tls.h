/* SPDX-License-Identifier: MIT */
/* What both sides of TLS have in common, the filter and the sender; only in builds with libssl. */
#ifndef LB_TLS_H
#define LB_TLS_H

#include "psk.h"

#include <openssl/ssl.h>
#include <stdint.h>

/* TLS 1.3, or 1.2 too, without renegotiation, compression, tickets, or a cache of sessions; an EOF
 * without close_notify is an error. 0 or -EIO. */
int lb_tls_configure(SSL_CTX *ctx, bool tls_1_2);

/* A session that the key stands for, the caller's; NULL: out of memory. SHA-256 suites only: so is
 * an external key in libssl. */
SSL_SESSION *lb_tls_psk_session(SSL *ssl, const struct lb_psk *psk);

/* Before a record is written: counts it, and has new keys made before the old ones have been used
 * so often that they could tell something (TLS 1.3; RFC 8446, 5.5). *records: under the key, zeroed
 * at first. What is to be written must not be empty. */
void lb_tls_use_key(SSL *ssl, uint64_t *records);

/* An alert's name as a word, as RFC 8446 has it: of our own "bad-record-mac", of the peer's
 * "alert-bad-record-mac". Static. */
const char *lb_tls_alert_name(int alert, bool theirs);

/* What libssl, or libcrypto, last complained of in this thread: static; NULL: nothing. */
const char *lb_tls_complaint(void);

#endif
