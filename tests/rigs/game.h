/* SPDX-License-Identifier: MIT */
/*
 * A game: dice make up what a backend says, in whatever order, and what a sink does. The promises
 * must hold all the same: each stream that was opened ends once, each chunk comes back once, no
 * byte is lost or counted twice, and the worker ends.
 */
#ifndef GAME_H
#define GAME_H

#include "dice.h"
#include "script.h"

struct game {
    struct script script;
    struct dice dice;

    /* The backend's side. */
    unsigned turn, lag;
    unsigned stop_turns[2], break_turn; /* UINT_MAX: never */
    bool one_stream;

    /* The sink's side. */
    bool may_pause;
    unsigned opened, refused;
    _Atomic unsigned finals;
    _Atomic uint64_t taken;
    _Atomic uint64_t ends[LB_END_COUNT];
    bool receipts;
    struct {
        bool opened, decided; /* decided: the sink's last word was heard */
        enum lb_end end;
        uint64_t taken;
    } verdicts[SCRIPT_STREAMS]; /* by the stream's number - 1 */
};

/* Plays it to its end. Returns 0, or -errno if it could not begin. A promise that was broken is
 * game->script.violation. */
int game_play(struct game *game, struct dice dice);

#endif
