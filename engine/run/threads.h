/* SPDX-License-Identifier: MIT */
/* The threads of an engine: their start, their end, and waiting for that. */
#ifndef LB_THREADS_H
#define LB_THREADS_H

#include "engine.h"

/* All that run it have ended, or are about to: waits for them. Once. */
void lb_threads_join(struct lb_engine *engine);

#endif
