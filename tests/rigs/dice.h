/* SPDX-License-Identifier: MIT */
/* Where a game's decisions come from: a seed, or a tape that a fuzzer writes. */
#ifndef DICE_H
#define DICE_H

#include "support.h"

struct dice {
    uint64_t seed;       /* without a tape */
    const uint8_t *tape; /* NULL: none */
    size_t left;         /* bytes of it */
};

static inline struct dice dice_of_seed(uint64_t seed)
{
    /* Neighbouring seeds shall make different games. */
    return (struct dice){.seed = random_next(&seed)};
}

static inline struct dice dice_of_tape(const uint8_t *tape, size_t size)
{
    static const uint8_t nothing[1];

    return (struct dice){.tape = size > 0 ? tape : nothing, .left = size};
}

static inline bool dice_empty(const struct dice *dice)
{
    return dice->tape && dice->left == 0;
}

/* From 0 to limit - 1; the latter where the tape is at its end. limit is at most 65536. */
static inline unsigned dice_below(struct dice *dice, unsigned limit)
{
    unsigned value = 0;

    if (!dice->tape)
        return (unsigned)random_between(&dice->seed, 0, limit - 1);
    for (unsigned span = 1; span < limit; span <<= 8) {
        if (dice->left == 0)
            return limit - 1;
        value = value << 8 | *dice->tape++;
        dice->left--;
    }
    return value % limit;
}

static inline bool dice_chance(struct dice *dice, unsigned one_in)
{
    return dice_below(dice, one_in) == 0;
}

#endif
