/* SPDX-License-Identifier: MIT */
#ifndef RECEIPT_H
#define RECEIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A receipt is the last line of a server's answer. It is one of
 *     ok BYTES ALGO:DIGEST ID
 *     error REASON BYTES
 * with single blanks, BYTES decimal without leading zeros, DIGEST in lower-case hexadecimal, ALGO,
 * ID and REASON of visible ASCII characters, and a newline at its end. Nothing here does I/O. */

enum {
    RECEIPT_SIZE = 512, /* the longest that is read, with its newline */
    RECEIPT_ALGORITHM_SIZE = 17,
    RECEIPT_DIGEST_SIZE = 129,
    RECEIPT_WORD_SIZE = 256,
};

struct receipt {
    bool ok;
    uint64_t bytes;
    char algorithm[RECEIPT_ALGORITHM_SIZE]; /* with ok, as the digest; else empty */
    char digest[RECEIPT_DIGEST_SIZE];
    char word[RECEIPT_WORD_SIZE]; /* the ID, or the REASON */
};

/* Reads a receipt, which must fill all size bytes. Returns 0, or -EINVAL, with *receipt
 * undefined, for anything else. An algorithm that is not known here is no error. */
int receipt_read(struct receipt *receipt, const char *text, size_t size);

/* Keeps back the last line of an answer as it comes in pieces, as long as it may be a receipt. Of
 * an answer it never holds more than RECEIPT_SIZE bytes. Zeroed: nothing has come. */
struct receipt_line {
    char text[RECEIPT_SIZE];
    size_t size;
    bool passing; /* the line under way is no receipt */
};

/* Takes a piece. Calls pass, in order, with all that is known not to be the receipt; data may then
 * lie in the line or in the piece. */
void receipt_line_take(struct receipt_line *line, const char *data, size_t size,
                       void (*pass)(void *context, const char *data, size_t size), void *context);

#endif
