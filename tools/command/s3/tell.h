/* SPDX-License-Identifier: MIT */
/* What went wrong at a store, for a person and as an errno. */
#ifndef S3_TELL_H
#define S3_TELL_H

#include "loop.h"

/* Writes ": " with what the store has answered, and the remedy where one is known. */
void s3_tell_outcome(char *text, size_t size, const struct s3_outcome *outcome);

/* Negative, never 0. */
int s3_tell_errno(const struct s3_outcome *outcome);

#endif
