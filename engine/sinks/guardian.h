/* SPDX-License-Identifier: MIT */
/*
 * The guardian: a process of its own that starts the commands of exec, and sees to it that none
 * takes a part for the whole.
 *
 * It is forked when the sink is opened, before any thread. It is the commands' parent, and adopts
 * what they leave behind. Of each command's input it holds a second writing end: the input ends
 * only when the guardian is told that the stream ended as eof. If it is told otherwise, or if the
 * server dies in whatever way, it kills the command with all that came of it, and holds the input
 * until nobody is left who reads it.
 *
 * Beside the one connection for requests, there is one for each command (its control): the server
 * says LB_GUARDIAN_WHOLE or LB_GUARDIAN_KILL there, or closes it; the guardian tells once how the
 * command went, as an int: 0 for exit status 0, 1 for any other way to end, -errno if it could not
 * be started.
 */
#ifndef LB_GUARDIAN_H
#define LB_GUARDIAN_H

#include <lastbyte/lastbyte.h>

/* The server's side. */
struct lb_guardian {
    int fd; /* for requests */
};

/* Forks the guardian, to start /bin/sh -c line as often as it is asked to. The commands get the
 * environment, working directory, standard error and limits that this process has now. Returns 0 or
 * -errno. */
int lb_guardian_open(struct lb_guardian *guardian, const char *line);

/* The guardian ends by itself, once nobody reads what it holds. */
void lb_guardian_close(struct lb_guardian *guardian);

/* Makes it the user that this process is now, without the rights that this process has not. Returns
 * 0 or -errno. From one thread, before any command is started. */
int lb_guardian_follow(const struct lb_guardian *guardian);

/* ---- what is said ---------------------------------------------------------------------------- */

enum lb_guardian_word { LB_GUARDIAN_WHOLE = 'w', LB_GUARDIAN_KILL = 'k' };

/* Asks for a command, with the descriptors of enum lb_guardian_fd. */
struct lb_guardian_start {
    uint64_t id; /* of the stream */
    char peer[LB_PEER_SIZE];
    char identity[LB_IDENTITY_SIZE]; /* empty: unknown */
};

enum lb_guardian_fd {
    LB_GUARDIAN_INPUT,       /* the command's standard input */
    LB_GUARDIAN_INPUT_HELD,  /* its writing end */
    LB_GUARDIAN_OUTPUT,      /* the command's standard output */
    LB_GUARDIAN_OUTPUT_HELD, /* its reading end */
    LB_GUARDIAN_CONTROL,     /* the guardian's side */
    LB_GUARDIAN_FDS
};

/* Takes the descriptors with it. Returns 0 or -errno, the descriptors stay the caller's either way.
 * From any thread. */
int lb_guardian_ask(const struct lb_guardian *guardian, const struct lb_guardian_start *start,
                    const int fds[LB_GUARDIAN_FDS]);

#endif
