/* SPDX-License-Identifier: MIT */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "sending.h"

#include <stddef.h>

/* Sends one stream: tries, and tries again as far as settings->retries allow and it can do no harm.
 * Tells what went wrong. Returns the stream's status. */
int attempt_stream(struct sending *sending, size_t index);

#endif
