/* SPDX-License-Identifier: MIT */
/* What comes behind a handshake, as the dice say, cut, damaged and split: our reader of records and
 * libssl come to the same bytes, the same end and the same answers. */
#include "fuzz.h"

#include "tls_replay.h"

static struct replay_client clients[REPLAY_SUITES];

static void damage(struct forger *forger, struct dice *dice)
{
    if (forger->size == 0 || !dice_chance(dice, 3))
        return;
    forger->bytes[dice_below(dice, 65536) % forger->size] ^= (uint8_t)(1 + dice_below(dice, 255));
}

static void cut(struct replay_cut *cut, struct dice *dice)
{
    static const unsigned most[] = {10, 1000, 20000, 65536};

    *cut = (struct replay_cut){.gone = dice_chance(dice, 16)};
    if (dice_chance(dice, 4))
        cut->unread = LB_WIRE_QUEUE_MAX + dice_below(dice, 32 << 10);
    cut->count = 1 + dice_below(dice, REPLAY_PIECES);
    for (size_t i = 0; i < cut->count; i++)
        cut->pieces[i] = 1 + dice_below(dice, most[dice_below(dice, 4)]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dice dice = dice_of_tape(data, size);
    const struct replay_client *client = &clients[dice_below(&dice, REPLAY_SUITES)];
    const struct replay_outcome *outcome;
    struct replay_cut pieces;
    struct forger forger;
    const char *why;

    for (unsigned i = 0; !clients[REPLAY_SUITES - 1].suite && i < REPLAY_SUITES; i++)
        replay_record(&clients[i], i);
    forger_begin(&forger, client);
    forge_by_dice(&forger, &dice);
    damage(&forger, &dice);
    cut(&pieces, &dice);
    if (forger.size > 0 && dice_chance(&dice, 4))
        forger.size = dice_below(&dice, 65536) % forger.size;
    why = replay_compare(client, forger.bytes, forger.size, &pieces, &outcome);
    if (why)
        fuzz_fail("%s: %s after %zu bytes", client->suite->name, why, outcome->plain_size);
    forger_end(&forger);
    return 0;
}
