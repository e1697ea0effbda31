/* SPDX-License-Identifier: MIT */
#include "tracks.h"

#include "bar.h"
#include "console.h"
#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 16 };

static void measure(struct track *track, size_t each, uint64_t size)
{
    track->sized = true;
    for (size_t i = 0; i < each; i++) {
        uint64_t more = 0;

        track->sized = track->sized && input_size(&track->input[i], &more);
        track->size += more;
    }
    if (!track->sized && size) {
        track->size = size;
        track->sized = true;
    }
}

int tracks_open(struct tracks *tracks, const struct input *inputs, size_t count, size_t each,
                uint64_t size)
{
    *tracks = (struct tracks){.count = count, .begin = progress_clock()};
    tracks->all = calloc(count, sizeof(tracks->all[0]));
    if (!tracks->all)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        tracks->all[i].input = &inputs[i * each];
        measure(&tracks->all[i], each, size);
    }
    progress_rate_begin(&tracks->rate, tracks->begin);
    return 0;
}

void tracks_close(struct tracks *tracks)
{
    free(tracks->all);
    tracks->all = NULL;
}

/* All of them as one. */
static struct bar sum(const struct tracks *tracks, char name[80])
{
    struct bar bar = {.name = name, .sized = true, .rate = tracks->rate.rate};

    for (size_t i = 0; i < tracks->count; i++) {
        bar.done += tracks->all[i].bytes;
        bar.size += tracks->all[i].size;
        bar.sized = bar.sized && tracks->all[i].sized;
    }
    snprintf(name, 80, "%zu of %zu streams", (size_t)tracks->sent, tracks->count);
    return bar;
}

void tracks_begin(struct tracks *tracks, size_t index)
{
    progress_rate_begin(&tracks->all[index].rate, progress_clock());
    tracks->all[index].state = TRACK_UNDER_WAY;
}

void tracks_end(struct tracks *tracks, size_t index)
{
    tracks->all[index].state = TRACK_OVER;
}

/* Where it stands is of no use to a person who has named it. */
static const char *short_name(const struct input *input, char text[LB_QUOTE_SIZE])
{
    const char *slash = input->path ? strrchr(input->path, '/') : NULL;

    return slash && slash[1] ? lb_quote_name(slash + 1, text) : input_name(input, text);
}

static void draw_track(struct track *track, unsigned columns, bool colour, double now,
                       char line[BAR_SIZE])
{
    char name[LB_QUOTE_SIZE];
    struct bar bar = {short_name(track->input, name), track->bytes, track->size, track->sized, 0};

    progress_rate_take(&track->rate, now, bar.done);
    bar.rate = track->rate.rate;
    bar_draw(&bar, columns, colour, line);
}

/* The streams under way, as many as there is room for; returns what is used of text. */
static size_t draw_tracks(struct tracks *tracks, unsigned columns, double now, char *text,
                          size_t room)
{
    unsigned rows = console_rows(), shown = 0;
    bool colour = console_has_colour();
    size_t used = 0;

    rows = rows < ROWS_MAX ? rows : ROWS_MAX;
    for (size_t i = 0; i < tracks->count && shown < rows; i++) {
        char line[BAR_SIZE];

        if (tracks->all[i].state != TRACK_UNDER_WAY)
            continue;
        draw_track(&tracks->all[i], columns, colour, now, line);
        size_t size = strlen(line);
        if (used + size + 2 > room)
            break;
        memcpy(text + used, line, size);
        used += size;
        text[used++] = '\n';
        shown++;
    }
    text[used] = '\0';
    return used;
}

void tracks_draw(struct tracks *tracks)
{
    char text[(ROWS_MAX + 1) * BAR_SIZE], name[80], figures[BAR_SIZE];
    unsigned columns = console_columns();
    double now = progress_clock();
    struct bar all = sum(tracks, name);

    progress_rate_take(&tracks->rate, now, all.done);
    all.rate = tracks->rate.rate;
    tracks->drawn = true;
    if (!columns) {
        bar_figures(&all, BAR_SIZE, figures);
        snprintf(text, sizeof(text), "%s sent, %s", name, figures);
        console_live(text);
        return;
    }
    size_t used = draw_tracks(tracks, columns, now, text, sizeof(text) - BAR_SIZE);
    if (tracks->count > 1)
        bar_draw(&all, columns, console_has_colour(), text + used);
    else if (used)
        text[used - 1] = '\0';
    console_live(text);
}

void tracks_sum(const struct tracks *tracks)
{
    char name[80], amount[VALUE_TEXT_SIZE], rate[VALUE_TEXT_SIZE];
    double seconds = progress_clock() - tracks->begin;

    if (!tracks->drawn)
        return;
    struct bar all = sum(tracks, name);
    value_amount_text((double)all.done, amount);
    value_amount_text(seconds > 0 ? (double)all.done / seconds : 0, rate);
    console_print("%s sent, %s in %.3f s, %s/s", name, amount, seconds, rate);
}
