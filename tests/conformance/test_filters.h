/* SPDX-License-Identifier: MIT */
/*
 * Filters to test with, in place of the library's own: this program's table of them is the one that
 * is linked. Bytes pass them in this order.
 */
#ifndef TEST_FILTERS_H
#define TEST_FILTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum test_filter {
    /* A prelude: "HEAD", a kind, and what belongs to that; the stream's bytes pass untouched. */
    FILTER_HEADER = 1 << 0,
    /* Each byte, and its complement behind it. On the way back it takes such pairs apart. */
    FILTER_DOUBLE = 1 << 1,
    /* Takes such pairs apart; what is no pair is an error, half of one at the EOF is truncated. On
     * the way back it makes them. */
    FILTER_HALVE = 1 << 2,
    /* Frames: a byte that tells how many follow. One of 0 is the trailer, and the byte behind it
     * tells what the stream's end is: 'E', the trailer; 'W', the connection's EOF behind it. An EOF
     * without a trailer is truncated. Its last word to the peer is "bye\n". */
    FILTER_JUDGE = 1 << 3,
    /* What comes out is what went in. */
    FILTER_PAIR = FILTER_DOUBLE | FILTER_HALVE,
};

/* Those that the next engine that is opened uses. */
extern unsigned test_filters_used;

/* That headers have had in all. */
extern atomic_size_t test_header_bytes;

/* What follows the kind of a header. */
enum {
    HEADER_PLAIN = 'P',   /* nothing */
    HEADER_ADDRESS = 'A', /* an IPv4 address and a port, in network order: who the peer is */
    HEADER_ASK = 'Q',     /* nothing; the peer is told "heard\n" */
    HEADER_SIZE_MAX = 11,
};

/* Writes one. address: a dotted quad, for HEADER_ADDRESS. Returns its size. */
size_t header_make(uint8_t header[HEADER_SIZE_MAX], uint8_t kind, const char *address,
                   uint16_t port);

/* out has room for 2 * size bytes. */
void pairs_make(const uint8_t *data, size_t size, uint8_t *out);

/* out has room for 2 * size + 1 bytes. Returns how many were used: frames of several sizes. */
size_t frames_make(const uint8_t *data, size_t size, uint8_t *out);

#endif
