/* SPDX-License-Identifier: MIT */
#include <lastbyte/lastbyte.h>

/* LB_BUILD_VERSION_NUM is meson's project version, which is where a release sets it. */
#if LB_VERSION_NUM != LB_BUILD_VERSION_NUM
#error "lastbyte.h and meson.build name different versions"
#endif

#define TEXT(word) #word
#define DOTTED(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *lb_version(void)
{
    return DOTTED(LB_VERSION_MAJOR, LB_VERSION_MINOR, LB_VERSION_PATCH);
}
