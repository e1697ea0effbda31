/* SPDX-License-Identifier: MIT */
#ifndef START_H
#define START_H

#include "suite.h"

/* Reads lastbyte-bench's own options and leaves Google Benchmark's in argv. Does what needs no
 * Google Benchmark, and returns the exit status; or a negative number with *suite to be run. */
int start(struct suite **suite, int *argc, char **argv);

#endif
