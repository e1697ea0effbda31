/* SPDX-License-Identifier: MIT */
#include <lastbyte/lastbyte.h>

const char *lb_version(void)
{
    return LB_VERSION;
}
