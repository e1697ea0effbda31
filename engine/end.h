/* SPDX-License-Identifier: MIT */
#ifndef LB_END_H
#define LB_END_H

#include <lastbyte/lastbyte.h>

/* The end that a failed receive means; error is -errno. */
enum lb_end lb_end_of_error(int error);

#endif
