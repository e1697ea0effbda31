/* SPDX-License-Identifier: MIT */
#include "s3.h"

#include "fail.h"
#include "sink.h"
#include "start.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY = 256 << 20,
    PART_SIZE = 8 << 20,
    TIMEOUT_MS = 300000,
    CLOSE_MS = 10000, /* to abort what was cut off last */
};

static void wake(void *context, uint64_t id)
{
    const struct s3_sink *sink = context;

    lb_engine_wake(sink->engine, id);
}

static void tell(void *context, enum lb_note_level level, const char *text)
{
    const struct s3_sink *sink = context;

    if (sink->note)
        sink->note(sink->note_context, level, text);
}

static void warn(void *context, const char *text)
{
    tell(context, LB_NOTE_WARNING, text);
}

static int read_argument(struct s3_sink *sink, const char *argument, struct lb_error *error)
{
    const char *slash = strchr(argument, '/');
    size_t size = slash ? (size_t)(slash - argument) : strlen(argument);
    const char *prefix = slash ? slash + 1 : "";

    if (size < sizeof(sink->bucket))
        memcpy(sink->bucket, argument, size);
    if (!s3_key_is_bucket(sink->bucket))
        return s3_fail(error, -EINVAL,
                       "s3:%s: no bucket is called so: 3 to 63 letters, digits, dots and dashes; "
                       "use s3:BUCKET or s3:BUCKET/PREFIX",
                       argument);
    if (!s3_key_is_prefix(prefix))
        return s3_fail(error, -EINVAL,
                       "s3:%s: no prefix for keys: at most %d of A-Z a-z 0-9 . _ - and single "
                       "slashes between",
                       argument, S3_PREFIX_MAX);
    /* Keys stand below it as in a folder. */
    snprintf(sink->prefix, sizeof(sink->prefix), "%s%s", prefix,
             *prefix && prefix[strlen(prefix) - 1] != '/' ? "/" : "");
    return 0;
}

static int check_options(const struct s3_options *options, struct lb_error *error)
{
    if (options->id && !s3_key_is_mark(options->id))
        return s3_fail(error, -EINVAL, "--s3-id=%s: no mark: 1 to %d of A-Z a-z 0-9 . _ -",
                       options->id, S3_MARK_MAX);
    if (options->memory < 2 * options->part_size)
        return s3_fail(error, -EINVAL,
                       "--s3-memory: holds fewer than two parts of %llu bytes; use more, or a "
                       "smaller --s3-part-size",
                       (unsigned long long)options->part_size);
    return 0;
}

static void fill_defaults(struct s3_options *options)
{
    const uint64_t block = S3_BLOCK_SIZE;

    if (!options->memory)
        options->memory = MEMORY;
    if (!options->part_size)
        options->part_size = PART_SIZE;
    if (!options->timeout_ms)
        options->timeout_ms = TIMEOUT_MS;
    if (!options->max_parts)
        options->max_parts = S3_PARTS_MOST;
    /* Of whole blocks. */
    options->part_size = (options->part_size + block - 1) / block * block;
}

static int open_uploads(struct s3_sink *sink, struct lb_error *error)
{
    struct s3_uploads *uploads = &sink->uploads;
    int rc;

    uploads->memory = s3_memory_open(sink->options.memory, sink->options.part_size, wake, sink);
    if (!uploads->memory)
        return s3_fail(error, -ENOMEM, "--s3-memory: there is not so much; use less");
    rc = s3_uploads_open(uploads);
    if (rc < 0)
        return s3_fail(error, rc, "s3: %s", strerror(-rc));
    sink->has_uploads = true;
    uploads->loop = sink->loop;
    uploads->timeout_ns = sink->options.timeout_ms * 1000000;
    uploads->wake = wake;
    uploads->tell = warn;
    uploads->context = sink;
    return 0;
}

static int ask_store(struct s3_sink *sink, struct lb_error *error)
{
    const struct s3_start start = {
        .loop = sink->loop,
        .bucket = sink->bucket,
        .prefix = sink->prefix,
        .mark = sink->mark.text,
        .timeout_ns = sink->options.timeout_ms * 1000000,
        .tell = tell,
        .context = sink,
    };
    int rc = s3_start_check(&start, error);

    if (rc == 0)
        s3_start_sweep(&start);
    return rc;
}

static int open_parts(struct s3_sink *sink, const char *argument, struct lb_error *error)
{
    int rc = read_argument(sink, argument, error);

    if (rc == 0)
        rc = check_options(&sink->options, error);
    if (rc == 0)
        rc = s3_credentials_open(&sink->credentials, error);
    if (rc == 0)
        rc = s3_mark_open(&sink->mark, sink->options.id, error);
    if (rc == 0)
        rc = s3_endpoint_open(&sink->endpoint, sink->bucket, sink->credentials->region, error);
    if (rc < 0)
        return rc;
    if (sink->options.unsigned_payload && !sink->endpoint.https)
        return s3_fail(error, -EINVAL,
                       "--s3-unsigned: over http nothing else protects what is sent; leave it out");
    rc = s3_loop_open(&sink->loop, &sink->endpoint, sink->credentials, error);
    if (rc == 0)
        rc = ask_store(sink, error);
    return rc == 0 ? open_uploads(sink, error) : rc;
}

int s3_sink_open(const struct lb_sink **sink, void **context, const char *argument,
                 const struct s3_options *options, const struct lb_sink_options *common,
                 struct lb_error *error)
{
    struct s3_sink *made = calloc(1, sizeof(*made));
    int rc;

    if (!made)
        return s3_fail(error, -ENOMEM, "s3: out of memory");
    made->options = *options;
    made->note = common->note;
    made->note_context = common->note_context;
    made->mark.fd = -1;
    fill_defaults(&made->options);
    rc = open_parts(made, argument, error);
    if (rc < 0) {
        s3_sink_close(made);
        return rc;
    }
    if (!made->endpoint.https && made->endpoint.remote)
        warn(made, "s3: the store is spoken to over http: anybody on the way can read what is "
                   "stored; use https");
    *sink = &s3_sink_table;
    *context = made;
    return 0;
}

void s3_sink_close(void *context)
{
    struct s3_sink *sink = context;
    unsigned left = 0;
    char text[100];

    if (sink->has_uploads && sink->started)
        left = s3_uploads_wait(&sink->uploads, CLOSE_MS);
    if (left > 0) {
        snprintf(text, sizeof(text), "s3: %u upload%s left; the next start aborts %s", left,
                 left == 1 ? " is" : "s are", left == 1 ? "it" : "them");
        warn(sink, text);
    }
    s3_loop_stop(sink->loop);
    if (sink->has_uploads)
        s3_uploads_close(&sink->uploads);
    s3_loop_close(sink->loop);
    s3_memory_close(sink->uploads.memory);
    s3_endpoint_close(&sink->endpoint);
    s3_mark_close(&sink->mark);
    s3_credentials_close(sink->credentials);
    free(sink);
}

const char *s3_option_given(const struct s3_options *options)
{
    return options->memory             ? "s3-memory"
           : options->part_size        ? "s3-part-size"
           : options->timeout_ms       ? "s3-timeout"
           : options->max_parts        ? "s3-max-parts"
           : options->unsigned_payload ? "s3-unsigned"
           : options->id               ? "s3-id"
                                       : NULL;
}
