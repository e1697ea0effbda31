/* SPDX-License-Identifier: MIT */
/*
 * ACKs of small messages. When a receive leaves nothing behind, Linux sends an ACK at once, and for
 * a small message that is more work than all the rest of receiving it (DECISIONS.md). A socket in
 * pingpong mode ACKs every other segment instead (tcp_cleanup_rbuf; RFC 1122, 4.2.3.2), or after
 * 40 ms, and that ends the mode.
 *
 * A peer that doesn't send on before its ACK (Nagle's algorithm) is held up by that. It shows: its
 * messages come several at a time, or the 40 ms pass. Its stream is ACKed at once again, and each
 * further try comes after twice as many receives.
 */
#ifndef LB_ACKS_H
#define LB_ACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: ACKs are sent at once. */
struct lb_acks {
    bool delayed;
    uint8_t receives; /* of the sample */
    uint16_t wait;    /* samples before the next try */
    uint16_t penalty; /* the wait after this try, should it be a failure */
    uint32_t bytes;   /* of the sample */
    uint32_t usual;   /* what a sample had when all were sent at once */
};

/* After each receive from fd: what it brought, and whether ACKs of small messages are worth
 * sparing now. */
void lb_acks_received(struct lb_acks *acks, int fd, size_t size, bool worth);

#endif
