/* SPDX-License-Identifier: MIT */
/* The sink s3: each stream becomes an object of a store. */
#ifndef S3_H
#define S3_H

#include "options.h"

#include <lastbyte/lastbyte.h>

/* argument is BUCKET[/PREFIX]. The store is asked at once. On success *sink is a static table and
 * *context the caller's (s3_sink_close). Returns 0, or -errno with the remedy in error: -EINVAL for
 * what can't be meant so. Before there are threads. */
int s3_sink_open(const struct lb_sink **sink, void **context, const char *argument,
                 const struct s3_options *options, const struct lb_sink_options *common,
                 struct lb_error *error);

/* After the engine is closed. */
void s3_sink_close(void *context);

/* The name of an option that was given, or NULL. */
const char *s3_option_given(const struct s3_options *options);

#endif
