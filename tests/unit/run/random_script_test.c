/* SPDX-License-Identifier: MIT */
/*
 * Random scripts: games whose dice are seeded. LASTBYTE_TEST_SEED=N in the environment plays one
 * seed alone.
 */
#include "unit.h"

#include "game.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SCRIPTS = 3000, SCRIPTS_SMALL = 300 };

static void play_script(struct game *game, uint64_t seed)
{
    if (game_play(game, dice_of_seed(seed)) < 0)
        fail_msg("seed %" PRIu64 ": no memory", seed);
    if (game->script.violation[0])
        fail_msg("LASTBYTE_TEST_SEED=%" PRIu64 ": %s\n%s", seed, game->script.violation,
                 game->script.log);
}

static void promises_hold(void **state)
{
    const char *only = getenv("LASTBYTE_TEST_SEED");
    struct game *game = malloc(sizeof(*game));
    unsigned scripts = scale_count(SCRIPTS, SCRIPTS_SMALL);
    uint64_t streams = 0, bytes = 0;
    unsigned fds = process_count_fds();

    (void)state;
    assert_non_null(game);
    if (only) {
        play_script(game, strtoull(only, NULL, 10));
        print_message("%s\n", game->script.log);
    }
    for (uint64_t seed = 1; !only && seed <= scripts; seed++) {
        play_script(game, seed);
        streams += game->script.stats.streams;
        bytes += game->script.stats.bytes;
    }
    print_message("%u scripts, %" PRIu64 " streams, %" PRIu64 " bytes\n", scripts, streams, bytes);
    assert_int_equal(process_count_fds(), fds);
    free(game);
}

/* As the log has it, or what people are told. */
static const char *const wonders[] = {
    "cancel",  "watch",  "ready",   "eof",       "reset",       "sink",   "timeout",     "stopped",
    "stop",    "error",  "forget",  "break",     "limit",       "settle", "write1:4096", "readable",
    "spliced", "refuse", "place",   "await",     "throttled",   "say",    "full",        "queued",
    "alarm",   "(idle)", "(denied", "(per-peer", "(max-bytes)",
};

/* The scripts must be worth something: all of it happens in them. */
static void scripts_are_colourful(void **state)
{
    enum { ENOUGH = 300, WONDERS = sizeof(wonders) / sizeof(wonders[0]) };
    struct game *game = malloc(sizeof(*game));
    unsigned seen[WONDERS] = {0};

    (void)state;
    assert_non_null(game);
    for (uint64_t seed = 1; seed <= ENOUGH; seed++) {
        play_script(game, seed);
        for (size_t i = 0; i < WONDERS; i++)
            seen[i] +=
                strstr(game->script.log, wonders[i]) || strstr(game->script.notes, wonders[i]);
    }
    for (size_t i = 0; i < WONDERS; i++)
        if (!seen[i])
            fail_msg("%s never happens", wonders[i]);
    free(game);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_hold),
        cmocka_unit_test(scripts_are_colourful),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
