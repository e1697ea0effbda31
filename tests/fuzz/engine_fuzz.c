/* SPDX-License-Identifier: MIT */
/* The engine between a backend and a sink that do what the bytes say. */
#include "fuzz.h"

#include "game.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct game game;

    if (game_play(&game, dice_of_tape(data, size)) < 0)
        fuzz_fail("no memory for a worker");
    if (game.script.violation[0])
        fuzz_fail("%s\n%s", game.script.violation, game.script.log);
    return 0;
}
