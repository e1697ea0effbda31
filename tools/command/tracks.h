/* SPDX-License-Identifier: MIT */
#ifndef TRACKS_H
#define TRACKS_H

#include "input.h"
#include "progress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far each stream of a sender is, for whoever looks on. */

enum track_state { TRACK_WAITING, TRACK_UNDER_WAY, TRACK_OVER };

struct track {
    _Atomic uint64_t bytes; /* sent, added to as they go */
    _Atomic enum track_state state;
    const struct input *input; /* the first of the stream's */
    uint64_t size;             /* of it all, if sized */
    bool sized;
    struct progress_rate rate;
};

struct tracks {
    struct track *all; /* one a stream */
    size_t count;
    atomic_size_t sent; /* streams that were; and, where receipts are wanted, proven safe */
    double begin;
    struct progress_rate rate;
    bool drawn;
};

/* Stream i is made of each inputs from i * each on. size is of the one whose size nobody knows, if
 * not 0. Returns 0 or -ENOMEM. */
int tracks_open(struct tracks *tracks, const struct input *inputs, size_t count, size_t each,
                uint64_t size);
void tracks_close(struct tracks *tracks);

/* A stream is taken up, and is over. From any thread. */
void tracks_begin(struct tracks *tracks, size_t index);
void tracks_end(struct tracks *tracks, size_t index);

/* Draws a live line for each stream under way, and one for all of them; a plain line for all where
 * there is no terminal. */
void tracks_draw(struct tracks *tracks);

/* Tells the sums, if anything was drawn. */
void tracks_sum(const struct tracks *tracks);

#endif
