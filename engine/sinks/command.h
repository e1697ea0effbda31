/* SPDX-License-Identifier: MIT */
/* A shell command that runs beside us, with a pipe to its input and one from its output. The
 * guardian is its parent. */
#ifndef LB_COMMAND_H
#define LB_COMMAND_H

#include "guardian.h"

#include <stdbool.h>
#include <sys/types.h>

struct lb_command {
    int control; /* readable once it has exited */
    int input;   /* our end of its standard input, non-blocking; -1 once closed */
    int output;  /* our end of its standard output, non-blocking; -1 once closed */
    bool exited; /* as the guardian has told */
    int outcome; /* exited: 0 for status 0, -errno if it could not be started or be told of, else 1
                  */
    bool lost;   /* the guardian has gone */
};

/* Starts it. On failure nothing is left behind; that it could not be started may also show later,
 * as its outcome. */
int lb_command_start(struct lb_command *command, const struct lb_guardian *guardian,
                     const struct lb_guardian_start *start);

/* Looks whether it has exited, without waiting. */
bool lb_command_exited(struct lb_command *command);

/* Its input ends, and was whole. Nothing else that is closed here ends it. Returns false if its
 * guardian can't be told: kill it then. */
bool lb_command_end_input(struct lb_command *command);

/* Kills it and all that came of it, at once. */
void lb_command_kill(struct lb_command *command);

/* Waits until it has exited. */
void lb_command_wait(struct lb_command *command);

/* Closes what is open. If its input was not ended, its rest is killed; and if there is no guardian
 * to hold it, the input stays open as long as this process lives, which starts no more then. */
void lb_command_done(struct lb_command *command);

#endif
