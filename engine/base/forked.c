/* SPDX-License-Identifier: MIT */
#include "forked.h"

#include <pthread.h>
#include <stdatomic.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool forked;

static void note_fork(void)
{
    atomic_store_explicit(&forked, true, memory_order_relaxed);
}

static void watch(void)
{
    pthread_atfork(note_fork, NULL, NULL);
}

void lb_forked_watch(void)
{
    pthread_once(&once, watch);
}

bool lb_forked(void)
{
    return atomic_load_explicit(&forked, memory_order_relaxed);
}
