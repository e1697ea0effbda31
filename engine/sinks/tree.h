/* SPDX-License-Identifier: MIT */
/* Ends a command with all that came of it, as far as /proc tells. For its parent, which has to be
 * the subreaper of all of them. */
#ifndef LB_TREE_H
#define LB_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct lb_tree {
    pid_t leader;   /* 0 once it was waited for */
    pid_t group;    /* of the leader */
    uint64_t id;    /* in the environment, as LASTBYTE_STREAM */
    uint64_t input; /* inode of the pipe that they read */
};

/* Kills what is found of the tree. All of it is stopped before anybody is killed, so that nobody
 * sees another one's death, or the end of a pipe from there, and goes on. Of this process's other
 * children those that is_other, called with context, knows are left alone. To be called again until
 * there is nobody, as one can be missed. Returns whether there was anybody. */
bool lb_tree_kill(const struct lb_tree *tree, bool (*is_other)(void *context, pid_t pid),
                  void *context);

#endif
