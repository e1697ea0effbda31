/* SPDX-License-Identifier: MIT */
#include "bar.h"

#include "value.h"

#include <stdio.h>
#include <string.h>

enum { GAUGE_MIN = 8, GAUGE_MAX = 30, NAME_MIN = 8, TIME_MAX = 360000 };

static const char ellipsis[] = "\xe2\x80\xa6";

/* Bytes that begin a character of UTF-8; a character takes one column, which is mostly true. */
static bool begins_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

static unsigned width(const char *text)
{
    unsigned count = 0;

    for (; *text; text++)
        count += begins_character(*text);
    return count;
}

void bar_cut(char *line, unsigned columns)
{
    unsigned count = 0;

    if (width(line) <= columns)
        return;
    for (char *next = line; *next; next++) {
        count += begins_character(*next);
        if (count < columns || !begins_character(*next))
            continue;
        /* What was there has at least as many bytes only if it was no ASCII. */
        size_t room = strlen(next);
        snprintf(next, room + 1, "%s", room < sizeof(ellipsis) - 1 ? "" : ellipsis);
        return;
    }
}

const char *bar_time_text(double seconds, char text[BAR_TIME_SIZE])
{
    if (!(seconds >= 0 && seconds < TIME_MAX)) {
        snprintf(text, BAR_TIME_SIZE, "-:--");
        return text;
    }
    unsigned whole = (unsigned)(seconds + 0.5), hours = whole / 3600;
    if (hours)
        snprintf(text, BAR_TIME_SIZE, "%u:%02u:%02u", hours, whole / 60 % 60, whole % 60);
    else
        snprintf(text, BAR_TIME_SIZE, "%u:%02u", whole / 60, whole % 60);
    return text;
}

static double share(const struct bar *bar)
{
    if (bar->done >= bar->size)
        return 1;
    return (double)bar->done / (double)bar->size;
}

/* Adds a figure if there is room for it. */
static void add(char *text, unsigned columns, const char *figure)
{
    size_t used = strlen(text);

    if (used + width(figure) + (used ? 2 : 0) <= columns)
        snprintf(text + used, BAR_SIZE - used, "%s%s", used ? ", " : "", figure);
}

void bar_figures(const struct bar *bar, unsigned columns, char text[BAR_SIZE])
{
    char done[VALUE_TEXT_SIZE], size[VALUE_TEXT_SIZE], figure[3 * VALUE_TEXT_SIZE];
    char left[BAR_TIME_SIZE];

    text[0] = '\0';
    value_amount_text((double)bar->done, done);
    if (bar->sized) {
        snprintf(figure, sizeof(figure), "%u %%", (unsigned)(share(bar) * 100));
        add(text, columns, figure);
        snprintf(figure, sizeof(figure), "%s of %s", done,
                 value_amount_text((double)bar->size, size));
    } else {
        snprintf(figure, sizeof(figure), "%s", done);
    }
    add(text, columns, figure);
    snprintf(figure, sizeof(figure), "%s/s", value_amount_text(bar->rate, done));
    add(text, columns, figure);
    if (!bar->sized || bar->done >= bar->size)
        return;
    double seconds = bar->rate > 0 ? (double)(bar->size - bar->done) / bar->rate : -1;
    snprintf(figure, sizeof(figure), "%s left", bar_time_text(seconds, left));
    add(text, columns, figure);
}

/* The bar itself, columns wide with its brackets. */
static void draw_gauge(const struct bar *bar, unsigned columns, bool colour, char *text,
                       size_t room)
{
    unsigned inside = columns - 2, full = (unsigned)(share(bar) * inside);
    char cells[GAUGE_MAX + 1];

    memset(cells, '#', full);
    memset(cells + full, '-', inside - full);
    cells[inside] = '\0';
    snprintf(text, room, "[%s%.*s%s%s] ", colour ? "\033[32m" : "", (int)full, cells,
             colour ? "\033[0m" : "", cells + full);
}

void bar_draw(const struct bar *bar, unsigned columns, bool colour, char text[BAR_SIZE])
{
    char name[BAR_SIZE / 2], figures[BAR_SIZE], gauge[GAUGE_MAX + 24] = "";

    snprintf(name, sizeof(name), "%s", bar->name);
    bar_cut(name, columns / 3 > NAME_MIN ? columns / 3 : NAME_MIN);
    unsigned taken = width(name) + 2;
    bar_figures(bar, columns > taken ? columns - taken : 0, figures);
    taken += width(figures);
    if (bar->sized && columns >= taken + GAUGE_MIN + 1) {
        unsigned free = columns - taken - 1;

        draw_gauge(bar, free < GAUGE_MAX ? free : GAUGE_MAX, colour, gauge, sizeof(gauge));
    }
    snprintf(text, BAR_SIZE, "%s  %s%.200s", name, gauge, figures);
    if (!gauge[0])
        bar_cut(text, columns);
}
