/* SPDX-License-Identifier: MIT */
/* The files that a trial leaves, and the directory they are in. */
#ifndef FILES_H
#define FILES_H

#include "trial.h"

#include <limits.h>

/* Makes a new directory in base. Returns 0 or -errno. */
int files_make_directory(char path[PATH_MAX], const char *base);

/* As many files as the trial has streams, each as long as a stream; with verify, of their content
 * too. Returns 0, or -1 with why. */
int files_check(const char *directory, const struct trial *trial, char *why, size_t size);

/* Removes the directory and the files in it. */
void files_remove(const char *directory);

#endif
