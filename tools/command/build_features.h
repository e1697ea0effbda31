/* SPDX-License-Identifier: MIT */
/* What a build of lastbyte may have or lack, by -DNAME=enabled|disabled: how it is told of, and how
 * what needs it is refused. */
#ifndef BUILD_FEATURES_H
#define BUILD_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

struct feature {
    const char *name;       /* the build option's */
    const char *options[5]; /* --OPTION and --OPTION-... need it; ends in NULL */
    const char *sink;       /* the sink that needs it, or NULL */
    const char *command;    /* the command that needs it, or NULL */
    const char *why;        /* this build lacks it */
};

/* Those that this build lacks, to a feature without a name. */
extern const struct feature features_missing[];

/* If it is for want of a feature that there is no such option, sink or command, tells so and
 * returns true. */
bool features_tell_option(const char *name);
bool features_tell_command(const char *name);
bool features_tell_sink(const char *specification);

#endif
