/* SPDX-License-Identifier: MIT */
#ifndef RECEIVE_H
#define RECEIVE_H

#include "options.h"

/* One contender, in this process, for a sender that somebody else starts: what a profiler is put
 * on. Says where it listens on standard error, and at the end what arrived, as JSON. Returns the
 * exit status. */
int receive_alone(const struct options *options);

#endif
