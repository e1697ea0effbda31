/* SPDX-License-Identifier: MIT */
#ifndef QUOTE_H
#define QUOTE_H

#include <stdbool.h>
#include <stddef.h>

/* Text of others, names of files and what a server says, so that a terminal shows it and does
 * nothing else: control characters, bytes that are no UTF-8, and characters that turn the direction
 * of a line are written as \n, \t, \r or \x1b. */

/* A text that comes in pieces. Zeroed: nothing has come. */
struct quoter {
    bool lines;   /* newlines and tabs stay what they are */
    bool exact;   /* what escapes are made of is escaped too, and the quote */
    char held[4]; /* the begin of a character */
    size_t count;
};

/* How much may come of size bytes. */
#define QUOTE_ROOM(size) (4 * ((size) + sizeof(((struct quoter *)NULL)->held)))

/* Takes a piece. Returns how many bytes it wrote to out, which has QUOTE_ROOM(size). */
size_t quoter_take(struct quoter *quoter, const char *data, size_t size, char *out);

/* That was all. out as for no bytes. */
size_t quoter_finish(struct quoter *quoter, char *out);

enum { QUOTE_SIZE = 512 };

/* A name in quotes, 'name'; one that is too long is cut. Returns text. */
const char *quote_name(const char *name, char text[QUOTE_SIZE]);

#endif
