/* SPDX-License-Identifier: MIT */
#ifndef BAR_H
#define BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far something is, as one line for a person: its name, a bar, percent, amount, rate, and the
 * time that is left. */
struct bar {
    const char *name;
    uint64_t done, size; /* bytes */
    bool sized;          /* size is known: without it no bar, percent and time */
    double rate;         /* bytes a second */
};

enum { BAR_SIZE = 512, BAR_TIME_SIZE = 16 };

/* Writes it to text, at most columns wide: what finds no room is left out, the bar first, then the
 * time, the rate, the amount. The name is cut to a third. With colour the bar's done part has one.
 */
void bar_draw(const struct bar *bar, unsigned columns, bool colour, char text[BAR_SIZE]);

/* What stands behind the bar, in plain words, without the name. */
void bar_figures(const struct bar *bar, unsigned columns, char text[BAR_SIZE]);

/* Seconds as "0:05", "12:34", "3:04:05"; "-:--" for what nobody knows. Returns text. */
const char *bar_time_text(double seconds, char text[BAR_TIME_SIZE]);

/* Cuts a line that takes more than columns, between characters, with an ellipsis. */
void bar_cut(char *line, unsigned columns);

#endif
