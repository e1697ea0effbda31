/* SPDX-License-Identifier: MIT */
/* The built-in sinks: one file each, one const table of them all (table.c). */
#ifndef LB_SINKS_H
#define LB_SINKS_H

#include <lastbyte/lastbyte.h>

/* Which of struct lb_sink_options a sink knows; all that write know output_fd. */
enum lb_builtin_option {
    LB_OPTION_APPEND = 1 << 0,
    LB_OPTION_DIRECT = 1 << 1,
    LB_OPTION_NO_FSYNC = 1 << 2,
    LB_OPTION_SPOOL_MAX = 1 << 3,
    LB_OPTION_SPOOL_TOTAL = 1 << 4,
};

struct lb_builtin {
    struct lb_sink sink;  /* first: a public sink pointer is a pointer to its entry */
    const char *argument; /* the shape of what follows "name:", NULL if nothing may */
    bool argument_optional;
    const char *help; /* part of a line: what it does */
    unsigned options; /* of enum lb_builtin_option */

    /* Makes the context that every call of the sink gets; argument is NULL if none was given.
     * Returns 0, or -errno with error filled and nothing left behind. */
    int (*setup)(void **context, const char *argument, const struct lb_sink_options *options,
                 struct lb_error *error);
    void (*teardown)(void *context);
};

extern const struct lb_builtin lb_sink_print, lb_sink_stdout, lb_sink_discard, lb_sink_hash,
    lb_sink_file, lb_sink_dir, lb_sink_exec;

/* All of them, ending in NULL. */
extern const struct lb_builtin *const lb_builtins[];

#endif
