/* SPDX-License-Identifier: MIT */
/* How a command of exec is started: what it inherits, and what not. */
#ifndef LB_LAUNCH_H
#define LB_LAUNCH_H

#include "guardian.h"

#include <sys/resource.h>

/* Descriptor of a command on which it can read whether its stream was whole. */
enum { LB_LAUNCH_END_FD = 3 };

struct lb_launch {
    char *line;
    char **environment; /* this process's, with room for what is told of a stream */
    size_t variables;
    struct rlimit descriptors, core;
};

/* Takes over what this process has now. Returns 0 or -ENOMEM. */
int lb_launch_init(struct lb_launch *launch, const char *line);
void lb_launch_done(struct lb_launch *launch);

/* Starts it: a process group of its own, signals as a fresh process has them; killed if this
 * process dies. Every descriptor of this process has to be close-on-exec, and those given to be
 * above LB_LAUNCH_END_FD. Returns the process or -errno. Waits until the shell runs. */
pid_t lb_launch(const struct lb_launch *launch, const struct lb_guardian_start *start, int input,
                int output, int end);

#endif
