/* SPDX-License-Identifier: MIT */
#ifndef S3_SINK_H
#define S3_SINK_H

#include "credentials.h"
#include "endpoint.h"
#include "mark.h"
#include "options.h"
#include "upload.h"

#include <lastbyte/lastbyte.h>

#include <stdatomic.h>

/* What all streams to a store share. */
struct s3_sink {
    struct s3_options options;
    char bucket[64], prefix[S3_PREFIX_MAX + 2];
    struct s3_mark mark;
    struct s3_credentials *credentials;
    struct s3_endpoint endpoint;
    struct s3_loop *loop;
    struct s3_uploads uploads;
    bool has_uploads;
    atomic_flag asked_to_start;
    bool started;                     /* the loop's thread */
    struct lb_engine *_Atomic engine; /* of the first stream and all others */
    void (*note)(void *context, enum lb_note_level level, const char *text);
    void *note_context;
};

/* Its context is a struct s3_sink. */
extern const struct lb_sink s3_sink_table;

#endif
