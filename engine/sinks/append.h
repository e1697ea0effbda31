/* SPDX-License-Identifier: MIT */
/* Adds whole streams to the end of a file: all of a stream, or none of it. */
#ifndef LB_APPEND_H
#define LB_APPEND_H

#include "landing.h"
#include "notes.h"

#include <sys/stat.h>

/* The file NAME of a sink that appends; one stream at a time. While a stream is added there is a
 * mark beside it, an empty file whose name says how much is safe and how much is added:
 * NAME.appending-SIZE+MORE. So what a process that was killed meanwhile has added can be taken out.
 */
struct lb_append {
    struct lb_directory *directory; /* borrowed */
    const char *name;               /* borrowed */
    int failed; /* -errno after which nothing can be added any more, see lb_append_end */
    char mark[NAME_MAX + 1]; /* its name; empty if there is none */
    struct lb_hush refusals; /* of streams, for what the file is */
};

/* The longest NAME for which there is room, as a mark's SIZE and MORE have up to 19 digits. */
enum { LB_APPEND_NAME_MAX = NAME_MAX - 50 };

/* Takes out what an earlier run has not added whole, and says so. Fails, with error filled, if that
 * is not possible; there is nothing to close. */
int lb_append_open(struct lb_append *file, struct lb_directory *directory, const char *name,
                   struct lb_error *error);

/* The end of a stream that has landed, and is complete: adds it to the end of the file NAME that
 * its partial would become; the first stream becomes that file. What is not complete, or could not
 * be added, is kept as NAME.STAMP.partial. Returns as a sink's end does. A sync that failed is
 * final for the file, and so is a part of a stream that can't be taken out again; both are told. */
int lb_append_end(struct lb_append *file, struct lb_landing *landing,
                  const struct lb_stream *stream, bool complete);

/* Why nothing can be added to such a file, NULL if it can: only to what nobody else has put there,
 * or can reach under another name. Whoever is root may yet become somebody else, if that is not
 * final. */
const char *lb_append_why_not(const struct stat *status, bool final);

/* Moves NAME.receiving out of the next stream's way, to NAME.STAMP.partial. */
int lb_append_set_aside(const struct lb_directory *directory, const char *name);

#endif
