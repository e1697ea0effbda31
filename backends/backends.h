/* SPDX-License-Identifier: MIT */
#ifndef LB_BACKENDS_H
#define LB_BACKENDS_H

#include "backend.h"

extern const struct lb_backend lb_backend_uring, lb_backend_epoll, lb_backend_blocking;

#endif
