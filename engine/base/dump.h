/* SPDX-License-Identifier: MIT */
/* Dumps: whether what passes through a process can be had from its memory by others. */
#ifndef LB_DUMP_H
#define LB_DUMP_H

/* From now on there is no file of its memory when it crashes, and no other process of its user can
 * look into it (PR_SET_DUMPABLE: prctl(2)). To be said again after its user has changed. A program
 * that it starts is as it was, but for the soft limit of such files. Returns 0 or -errno. */
int lb_dump_forbid(void);

#endif
