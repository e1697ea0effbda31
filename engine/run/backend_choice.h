/* SPDX-License-Identifier: MIT */
/* Which backend runs: the one asked for by name, or the best that works. */
#ifndef LB_BACKEND_CHOICE_H
#define LB_BACKEND_CHOICE_H

#include "backend.h"

/* The backend called name; "auto" or NULL: the first that this process may use, with one note for
 * each that was refused. -EINVAL: no such backend; others: why it can't run here. */
int lb_choice_make(const struct lb_backend **backend, const char *name,
                   void (*refused)(void *context, const char *text), void *context,
                   struct lb_error *error);

#endif
