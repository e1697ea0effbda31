/* SPDX-License-Identifier: MIT */
/* Rules: what a program's configuration means for a lane and its streams, every default settled.
 * Nothing in here changes while data flows. */
#ifndef LB_RULES_H
#define LB_RULES_H

#include "backend.h"
#include "digest.h"
#include "limit.h"
#include "throttle.h"

struct lb_filter;

enum { LB_FILTERS_MAX = 4 };

/* A filter that every stream passes, and what it was told. */
struct lb_filter_use {
    const struct lb_filter *filter;
    const void *settings; /* until lb_filters_release */
    size_t offset;        /* of its state in the stream's memory; by lb_rules_lay_out */
};

struct lb_rules {
    const struct lb_sink *sink;
    void *sink_context;
    const struct lb_backend *backend;
    struct lb_pool_shape pool;

    const void *greeting; /* NULL: none */
    size_t greeting_size;
    struct lb_digest_method receipt; /* of receipts; not chosen: none are given */

    struct lb_limits limits;
    struct lb_throttle_limits *throttle; /* NULL: none; the account in it is all lanes' */
    unsigned max_streams;                /* at once, in all lanes */
    uint64_t drain_ns;
    uint64_t gather_max_ns;
    bool saving;           /* gather whenever that saves processor time */
    uint64_t handshake_ns; /* how long preludes may take */
    bool no_splice, unrestricted, ignore_empty;
    bool own_loop; /* the one lane runs in a thread of the program's */

    struct lb_filter_use filters[LB_FILTERS_MAX]; /* in the order bytes pass them */
    unsigned filter_count;
    /* By lb_rules_lay_out: */
    bool filtered;      /* a filter has to see the bytes */
    size_t stream_size; /* of a stream's memory: its sink's state, then its filters' */
    size_t piece;       /* the first of them is given at most so many bytes at a time */
};

#endif
