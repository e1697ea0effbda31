/* SPDX-License-Identifier: MIT */
/* Nothing is between the peers and the engine. */
#include "suite.h"

void suite_configure(struct lb_config *config)
{
    (void)config;
}

const char *suite_front(const char *address)
{
    return address;
}

void suite_leave(void)
{
}

bool suite_leaves_out(const char *name)
{
    (void)name;
    return false;
}
