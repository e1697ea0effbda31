/* SPDX-License-Identifier: MIT */
#ifndef RECV_TLS_H
#define RECV_TLS_H

#include "recv_settings.h"

/* What the options of TLS say together: finds or makes what they name. Returns an exit status after
 * telling what is wrong. */
int recv_tls_read(struct recv_settings *settings);

/* Once rights are given up: tells if changed files could not be taken up any more. */
void recv_tls_check_reread(const struct recv_settings *settings);

void recv_tls_done(struct recv_settings *settings);

#endif
