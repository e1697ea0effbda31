/* SPDX-License-Identifier: MIT */
/*
 * The world of a game: a time that passes only when the game says so, and peers that come from
 * wherever it says. So a game waits for nothing, and the same dice make the same game. The linker
 * wraps clock_gettime, poll and getpeername (meson.build); other threads, and this one outside, see
 * the real ones.
 */
#ifndef GAME_WORLD_H
#define GAME_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct game_world {
    uint64_t now_ns;
    /* The last part of fd's peer's address in 192.0.2.0/24; 0: the real one. */
    unsigned (*host_of)(const void *context, int fd);
    const void *context;
};

/* Of this thread, until it leaves. */
void game_world_enter(struct game_world *world);
void game_world_leave(void);

#endif
