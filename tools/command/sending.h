/* SPDX-License-Identifier: MIT */
#ifndef SENDING_H
#define SENDING_H

#include "input.h"
#include "seal.h"
#include "targets.h"
#include "tls_line.h"
#include "tracks.h"

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
    enum lb_seal_kind seal;    /* LB_SEAL_KINDS: none */
    const char *seal_key_path; /* NULL: none */
    struct lb_seal_key seal_key;
    struct tls_settings tls;
    struct option_list given_pins;
    struct pin_list pins; /* that they are */
    bool ipv4, ipv6;
    int connect_timeout_ms;   /* negative: the limits of resolver and kernel */
    unsigned idle_timeout_ms; /* 0: none */
    unsigned max_time_ms;     /* 0: none */
    unsigned keepalive_ms;    /* 0: none */
    uint64_t spool_total;     /* bytes of answers that are held at a time */
    unsigned retries;
    size_t parallel;
    unsigned progress_ms; /* 0: no live lines */
    uint64_t size;        /* of the stream whose size nobody can know; 0: unknown */
    bool quiet, verbose, help, version;
};

/* Everything one invocation sends. Stream i is made of each consecutive inputs from i * each on. */
struct sending {
    const struct send_settings *settings;
    struct targets targets;
    struct tls_client *tls; /* NULL: plain */
    struct input *inputs;
    size_t streams;     /* how many there are */
    size_t each;        /* inputs of a stream */
    size_t threads_max; /* streams under way at a time: set by sending_prepare */
    bool hold;          /* answers must not mix: as well */

    atomic_size_t next; /* the stream to be taken up next */
    struct tracks tracks;
    atomic_int status;       /* the highest of what happened */
    atomic_bool unreachable; /* the server is; streams that are left needn't find that out again */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t threads; /* under way */
};

/* Before anything is sent: has the process what that takes? Tells what it has not. Returns the
 * status. */
int sending_prepare(struct sending *sending);

/* Sends all of it, up to settings->parallel streams at a time. Returns the status. */
int sending_run(struct sending *sending);

#endif
