/* SPDX-License-Identifier: MIT */
/* A forked process gives up what it has of its parent, and makes itself at home. */
#ifndef LB_SETTLE_IN_H
#define LB_SETTLE_IN_H

/* Closes every descriptor but fd and standard error, puts /dev/null in place of those up to last,
 * lets signals wait, forbids dumps, takes a process group and as many descriptors as it may have.
 * Returns what fd is now, or -errno. */
int lb_settle_in(int fd, int last);

#endif
