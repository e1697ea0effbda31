/* SPDX-License-Identifier: MIT */
#ifndef LB_ERROR_H
#define LB_ERROR_H

#include <lastbyte/lastbyte.h>

#define LB_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Fills error (unless NULL) with code and the formatted text, and returns code, so that a failing
 * function can end in "return lb_error_set(error, -EINVAL, ...)". */
int lb_error_set(struct lb_error *error, int code, const char *format, ...) LB_PRINTF(3, 4);

#endif
