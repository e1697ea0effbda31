/* SPDX-License-Identifier: MIT */
#ifndef SENDING_H
#define SENDING_H

#include "input.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SENDING_PARALLEL_MAX = 1024 };

/* As the option's words are listed; none is what it is without the option. */
enum { SEND_RECEIPT_XXH3, SEND_RECEIPT_SHA256, SEND_RECEIPT_NONE };

struct send_settings {
    const char *text;
    bool concat;
    unsigned receipt;
    int connect_timeout_ms; /* negative: the kernel's limit */
    unsigned retries;
    size_t parallel;
    unsigned progress_ms; /* 0: no live line */
    bool quiet, verbose, help, version;
};

/* Everything one invocation sends. Stream i is made of each consecutive inputs from i * each on. */
struct sending {
    const struct send_settings *settings;
    const char *address;
    struct input *inputs;
    size_t streams; /* how many there are */
    size_t each;    /* inputs of a stream */
    bool hold;      /* answers must not mix */

    atomic_size_t next; /* the stream to be taken up next */
    atomic_size_t sent; /* and, where receipts are wanted, proven safe */
    _Atomic uint64_t bytes;
    atomic_int status;       /* the highest of what happened */
    atomic_bool unreachable; /* the server is; streams that are left needn't find that out again */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t threads; /* under way */
};

/* Sends all of it, up to settings->parallel streams at a time. Returns the status. */
int sending_run(struct sending *sending);

#endif
