/* SPDX-License-Identifier: MIT */
#include "backends.h"

#include <stddef.h>

const struct lb_backend *const lb_backends[] = {
    &lb_backend_uring,
    &lb_backend_epoll,
    &lb_backend_blocking,
    NULL,
};
