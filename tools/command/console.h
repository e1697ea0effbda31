/* SPDX-License-Identifier: MIT */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>

/* Standard error, for all threads: whole lines, and below them live lines that are drawn over
 * again. A line never tears the live ones, and what is no text in it is escaped (quote.h).
 *
 * What is told is written at once, by whoever tells it; so that nobody waits for a reader who
 * doesn't read, a server has a thread for that. Its lines wait in a queue with a bound: those that
 * find no place are dropped, and how many were is told where they would have stood. */

/* From now on what is told waits, for the lines of console_first; while there is one thread. */
void console_hold(void);

/* A line before those that wait. */
__attribute__((format(printf, 1, 2))) void console_first(const char *format, ...);

/* There is a thread that writes, after console_release. Returns 0 or -errno. */
int console_begin(void);

/* What waits goes on its way. */
void console_release(void);

/* The process is about to end: all that was told is written; but a reader is not waited for who
 * has read nothing for two seconds, or has not come to the end in ten. */
void console_end(void);

/* One line that begins with "lastbyte: ". */
__attribute__((format(printf, 1, 2))) void console_tell(const char *format, ...);

/* One line as it is, which is never dropped. */
__attribute__((format(printf, 1, 2))) void console_print(const char *format, ...);

/* How wide live lines may be; 0 where there is no terminal that can have some. */
unsigned console_columns(void);

/* And how many there is room for, beside a few others. */
unsigned console_rows(void);

/* Are colours wanted there? Not with NO_COLOR. */
bool console_has_colour(void);

/* Draws the live lines, with newlines between them, none of them wider than console_columns. Where
 * that is 0 there may be one, and it is a plain line that may be dropped. */
void console_live(const char *lines);

/* Wipes the live lines, if there are some. */
void console_wipe(void);

/* Something was written to standard output, which may be the same terminal: a line that is not at
 * its end there is not drawn over. */
void console_foreign(char last);

#endif
