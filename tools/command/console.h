/* SPDX-License-Identifier: MIT */
#ifndef CONSOLE_H
#define CONSOLE_H

/* Standard error, for all threads: whole lines, and below them at most one live line that is
 * drawn over again. A line never tears the live one, and what is no text in it is escaped
 * (quote.h). */

/* One line that begins with "lastbyte: ". */
__attribute__((format(printf, 1, 2))) void console_tell(const char *format, ...);

/* One line as it is. */
__attribute__((format(printf, 1, 2))) void console_print(const char *format, ...);

/* Draws the live line, cut to the terminal's width; a plain line where there is no terminal. */
void console_live(const char *line);

/* Wipes the live line, if there is one. */
void console_wipe(void);

#endif
