/* SPDX-License-Identifier: MIT */
#ifndef OWN_SINK_H
#define OWN_SINK_H

#include "s3/options.h"

#include <lastbyte/lastbyte.h>

/* The sinks that recv has of its own, beside those of the library, which does without what they
 * need: one const table of them, and here what is the same for all sinks. */

struct own_sink {
    struct lb_description description;
    /* As lb_sink_open and lb_sink_close. */
    int (*open)(const struct lb_sink **sink, void **context, const char *argument,
                const struct s3_options *options, const struct lb_sink_options *common,
                struct lb_error *error);
    void (*close)(void *context);
    /* The name of an option of this sink alone that was given, or NULL. */
    const char *(*option)(const struct s3_options *options);
};

/* Describes the index-th sink, the library's first. Returns false past the last. */
bool sink_describe(size_t index, struct lb_description *description);

/* lb_sink_open for all of them; *chosen is NULL for one of the library's. */
int sink_open(const struct own_sink **chosen, const struct lb_sink **sink, void **context,
              const char *specification, const struct s3_options *options,
              const struct lb_sink_options *common, struct lb_error *error);
void sink_close(const struct own_sink *own, const struct lb_sink *sink, void *context);

#endif
