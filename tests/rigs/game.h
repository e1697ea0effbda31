/* SPDX-License-Identifier: MIT */
/*
 * A game: dice make up what a backend says, in whatever order, what peers do, and what a sink does.
 * The promises must hold all the same: each stream that was opened ends once, each chunk comes back
 * once, no byte is lost or counted twice, no rate is passed, who may not come in does not, the peer
 * hears what it was told, alarms ring, and the worker ends.
 */
#ifndef GAME_H
#define GAME_H

#include "dice.h"
#include "game_world.h"
#include "script.h"

enum {
    GAME_HOSTS = 4,        /* peers come from so many addresses */
    GAME_HOLD_SIZE = 5000, /* of a sink's memory, to be received into */
};

#define GAME_BEGAN_NS UINT64_C(1000000000000)

/* What the game knows of one stream. */
struct game_stream {
    unsigned host; /* where its peer is; 0: on a Unix socket */
    bool shut;     /* its peer sends no more */
    bool quiet;    /* it was closed while nobody was in a hurry */

    bool opened, decided; /* decided: the sink's last word was heard */
    enum lb_end end;
    uint64_t taken;
    uint64_t began_ns;
    uint64_t alarm_ns; /* that its sink has set; 0: none */
    int target;        /* plus one: where its bytes go to; 0: nowhere */
    int reader;        /* plus one: the other end of that, if it is a pipe */
    uint64_t drained;  /* bytes that came out there */
    uint64_t written;  /* bytes of it that came by write */

    /* The way back. */
    uint64_t said, heard; /* bytes, without a receipt */
    char receipt[600];
    size_t receipt_size;
};

struct game {
    struct script script;
    struct game_world world;
    struct dice dice;

    /* The backend's side, and the peers'. */
    unsigned turn, lag;
    unsigned stop_turns[2], break_turn; /* UINT_MAX: never */
    bool one_stream, stopping;
    bool small_buffers;                         /* of the way back */
    bool addressed;                             /* peers have addresses */
    unsigned denied;                            /* that host may not come in; 0: all may */
    unsigned per_peer;                          /* streams of one peer at a time; 0: any number */
    unsigned hasty_turns;                       /* in a row, in which the worker would not wait */
    uint64_t told_ns;                           /* when the last events were told */
    struct game_stream streams[SCRIPT_STREAMS]; /* by the stream's number - 1 */

    /* The sink's side. */
    struct script_options options;
    bool may_pause;
    unsigned opened, refused;
    _Atomic unsigned finals;
    _Atomic uint64_t taken;
    _Atomic uint64_t ends[LB_END_COUNT];
};

/* Plays it to its end. Returns 0, or -errno if it could not begin. A promise that was broken is
 * game->script.violation. */
int game_play(struct game *game, struct dice dice);

/* ---- for the game's own parts ---------------------------------------------------------------- */

extern const struct lb_sink game_sinks[];
extern const unsigned game_sink_count;

/* The byte at an offset of what a stream's peer is told, the greeting first. */
extern const char game_greeting[];
char game_word(const struct game *game, unsigned number, uint64_t offset);

/* The peer listens for a moment, and what it hears must be what it was told. */
void game_hear(struct game *game, unsigned number);

/* Whoever reads the pipe that the stream goes to reads at most size bytes. */
void game_drain(struct game *game, unsigned number, size_t size);

#endif
