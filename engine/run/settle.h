/* SPDX-License-Identifier: MIT */
/* Settling: what a program asked for, checked, and every "default" replaced by what it means here.
 */
#ifndef LB_SETTLE_H
#define LB_SETTLE_H

#include "rules.h"

/* Takes a program's configuration, and checks it; config's sink is sink then. Returns 0, or -errno
 * with what is wrong in error. */
int lb_settle_take(struct lb_config *config, struct lb_sink *sink, const struct lb_config *given,
                   struct lb_error *error);

/* Settles config, which was taken, for backend, and makes rules of it; throttle is what they share,
 * and lives as long as they do. Returns 0, or -errno with error filled. */
int lb_settle(struct lb_rules *rules, struct lb_config *config, const struct lb_backend *backend,
              struct lb_throttle_limits *throttle, struct lb_error *error);

#endif
