/* SPDX-License-Identifier: MIT */
#ifndef LB_QUOTE_H
#define LB_QUOTE_H

#include <stdbool.h>
#include <stddef.h>

/* Text of others, names of files and what a server says, so that a terminal shows it and does
 * nothing else: control characters, bytes that are no UTF-8, and characters that turn the direction
 * of a line are written as \n, \t, \r or \x1b. */

/* A text that comes in pieces. Zeroed: nothing has come. */
struct lb_quoter {
    bool lines;   /* newlines and tabs stay what they are */
    bool exact;   /* what escapes are made of is escaped too, and the quote */
    char held[4]; /* the begin of a character */
    size_t count;
};

/* How much may come of size bytes. */
#define LB_QUOTE_ROOM(size) (4 * ((size) + sizeof(((struct lb_quoter *)NULL)->held)))

/* Takes a piece. Returns how many bytes it wrote to out, which has LB_QUOTE_ROOM(size). */
size_t lb_quoter_take(struct lb_quoter *quoter, const char *data, size_t size, char *out);

/* That was all. out as for no bytes. */
size_t lb_quoter_finish(struct lb_quoter *quoter, char *out);

enum { LB_QUOTE_SIZE = 512 };

/* A name in quotes, 'name'; one that is too long is cut. Returns text. */
const char *lb_quote_name(const char *name, char text[LB_QUOTE_SIZE]);

#endif
