/* SPDX-License-Identifier: MIT */
#ifndef HELP_H
#define HELP_H

#include "options.h"

/* Prints what there is, under a title: a row for each, as it is written. */
void help_list(const char *title, option_values *describe);

#endif
