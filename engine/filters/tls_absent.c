/* SPDX-License-Identifier: MIT */
/* In place of tls where libssl is not. */
#include "error.h"
#include "filter.h"

#include <errno.h>

static int absent_settle(const struct lb_config *config, const void **settings,
                         struct lb_error *error)
{
    (void)settings;
    return config->tls
               ? lb_error_set(error, -ENOTSUP, "TLS: this library was built without it (-Dtls)")
               : 0;
}

const struct lb_filter lb_filter_tls = {.name = "tls", .settle = absent_settle};
