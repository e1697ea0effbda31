/* SPDX-License-Identifier: MIT */
/*
 * A limit of bytes a second, as an account of time: bytes are paid for with the time that they may
 * take, and while the account is paid into the future nothing may be received. Idle time is not
 * saved up beyond a burst. One number per account, so that threads can share one without a lock.
 */
#ifndef LB_RATE_H
#define LB_RATE_H

#include <stdatomic.h>
#include <stdint.h>

struct lb_rate {
    uint64_t limit;    /* bytes a second; 0: any number */
    uint64_t burst_ns; /* so much unused time may be made up for */
};

/* The time that bytes, at most 2^34, may take; rounded up. */
uint64_t lb_rate_cost_ns(const struct lb_rate *rate, uint64_t bytes);

/* Pays for bytes that came; an account begins at 0. Returns when the next may: now, or later. In
 * any time t there come at most limit * (t + burst) bytes and the piece that went beyond. */
uint64_t lb_rate_pay(const struct lb_rate *rate, _Atomic uint64_t *account_ns, uint64_t bytes,
                     uint64_t now_ns);

#endif
