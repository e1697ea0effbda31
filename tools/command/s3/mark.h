/* SPDX-License-Identifier: MIT */
/* A receiver's mark: what it calls itself in its keys, so that after a restart it knows what was
 * its own. */
#ifndef S3_MARK_H
#define S3_MARK_H

#include "key.h"

#include <lastbyte/lastbyte.h>

struct s3_mark {
    char text[S3_MARK_MAX + 1];
    int fd; /* holds its file's lock while the receiver runs; -1: none */
};

/* given, or where that is NULL the mark that is kept in $STATE_DIRECTORY (systemd's),
 * $XDG_STATE_HOME/lastbyte or ~/.local/state/lastbyte: made there at first, and each receiver that
 * runs at the same time has one of its own. Returns 0, or -errno with the remedy in error. */
int s3_mark_open(struct s3_mark *mark, const char *given, struct lb_error *error);
void s3_mark_close(struct s3_mark *mark);

#endif
