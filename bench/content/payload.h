/* SPDX-License-Identifier: MIT */
/*
 * The bytes that streams carry, such that a byte lost, doubled or in the wrong place shows.
 *
 * The payload is a row of 64-bit words that repeats with a prime period. A stream begins at a word
 * of its own (its phase), and each word tells where in the period it stands, so that the receiver
 * finds the phase in the first 8 bytes and knows every byte that must follow.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PAYLOAD_WORDS = 32749, /* prime: streams that begin alike are as many apart */
    PAYLOAD_PERIOD = PAYLOAD_WORDS * 8,
    PAYLOAD_WRITE_MAX = 256 << 10
};

/* Makes the payload, once per process; a child has its parent's. Returns 0 or -errno. */
int payload_open(void);

/* Where in the payload the stream with this number (from 0) begins. */
uint64_t payload_phase(uint64_t stream);

/* PAYLOAD_WRITE_MAX bytes of the payload from position on. */
const uint8_t *payload_at(uint64_t position);

/* The same bytes as a file, and where position is in it. */
int payload_fd(void);
uint64_t payload_offset(uint64_t position);

/* Follows one stream and compares. All zero before its first byte. */
struct payload_check {
    uint64_t position; /* in the payload, of the next byte; valid once 8 bytes were seen */
    uint8_t first[8];
    unsigned seen; /* of first */
    bool wrong;    /* some byte was not what it had to be */
};

void payload_check(struct payload_check *check, const void *data, size_t size);

/* The hash of the first size bytes of the stream with this number, spelt as the hash sink does. */
enum { PAYLOAD_DIGEST_SIZE = 33 };
void payload_digest(uint64_t stream, uint64_t size, char digest[PAYLOAD_DIGEST_SIZE]);

#endif
