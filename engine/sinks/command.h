/* SPDX-License-Identifier: MIT */
/* A shell command that runs beside us, with a pipe to its input and one from its output. */
#ifndef LB_COMMAND_H
#define LB_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

struct lb_command {
    pid_t pid;       /* of the shell, and of its process group */
    int pid_fd;      /* readable once it has exited */
    int input;       /* our end of its standard input, non-blocking; -1 once closed */
    int output;      /* our end of its standard output, non-blocking; -1 once closed */
    bool exited;     /* seen, and reaped */
    bool successful; /* exited: by itself, with status 0 */
};

/* Whether this kernel can tell of a command's exit: 0, or -ENOSYS before Linux 5.3. */
int lb_command_check(void);

/* Starts /bin/sh -c line with the environment given, standard error as ours, signals as a fresh
 * process has them. On failure nothing is left behind. */
int lb_command_start(struct lb_command *command, const char *line, char *const *environment);

/* Looks whether it has exited, without waiting. */
bool lb_command_exited(struct lb_command *command);

/* Kills it and all of its process group, at once. Not after it has exited. */
void lb_command_kill(struct lb_command *command);

/* Waits until it has exited. */
void lb_command_wait(struct lb_command *command);

/* Closes what is open. The command must have exited. */
void lb_command_done(struct lb_command *command);

#endif
