/* SPDX-License-Identifier: MIT */
/* Temporary files without a name: what waits on disk. */
#ifndef LB_TEMPORARY_H
#define LB_TEMPORARY_H

/* Where they are made: TMPDIR, unless this process has more rights than its user, or /tmp. */
const char *lb_temporary_directory(void);

/* Returns a descriptor, or -errno. */
int lb_temporary_open(const char *directory);

#endif
