/* SPDX-License-Identifier: MIT */
#ifndef LONE_RECEIVER_H
#define LONE_RECEIVER_H

#include "options.h"

/* One contender, in this process, for a sender that somebody else starts: what a profiler is put
 * on. Says where it listens on standard error, and at the end what arrived, as JSON. Returns the
 * exit status. */
int lone_receiver_run(const struct options *options);

#endif
