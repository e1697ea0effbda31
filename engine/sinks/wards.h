/* SPDX-License-Identifier: MIT */
/* What the guardian does: see guardian.h. A ward is one command, with what is held for it. */
#ifndef LB_WARDS_H
#define LB_WARDS_H

/* Is the guardian, with requests coming on fd, until there is nothing left to guard. In a process
 * that was forked for this: everything of it is given up. */
_Noreturn void lb_wards_run(int fd, const char *line);

#endif
