/* SPDX-License-Identifier: MIT */
/* Adds whole streams to the end of a file: all of a stream, or none of it. */
#ifndef LB_APPEND_H
#define LB_APPEND_H

#include "landing.h"

#include <sys/stat.h>

/* The end of a stream that has landed, and is complete: adds it to the end of the file NAME that its
 * partial would become; the first stream becomes that file. What is not complete, or could not be
 * added, is kept as NAME.STAMP.partial. Returns as a sink's end does. */
int lb_append_end(struct lb_landing *landing, const struct lb_stream *stream, bool complete);

/* Why nothing can be added to such a file, NULL if it can: only to what nobody else has put there, or
 * can reach under another name. Whoever is root may yet become somebody else, if that is not final. */
const char *lb_append_why_not(const struct stat *status, bool final);

/* Moves NAME.receiving out of the next stream's way, to NAME.STAMP.partial. */
int lb_append_set_aside(const struct lb_directory *directory, const char *name);

#endif
