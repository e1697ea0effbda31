/* SPDX-License-Identifier: MIT */
/* hash: a line for each stream: digest, bytes, end, peer. */
#include "digest.h"
#include "error.h"
#include "output.h"
#include "sinks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct hash_context {
    struct lb_output output;
    struct lb_digest_method method;
};

struct hash_state {
    struct lb_digest digest;
};

static int hash_open(struct lb_stream *stream, void *context)
{
    const struct hash_context *sink = context;
    struct hash_state *state = lb_stream_state(stream);

    return lb_digest_open(&state->digest, &sink->method);
}

static ssize_t hash_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct hash_state *state = lb_stream_state(stream);
    int rc = lb_digest_update(&state->digest, data, size);

    (void)context;
    return rc < 0 ? rc : (ssize_t)size;
}

static int tell(const struct hash_context *sink, const struct lb_stream *stream, const char *digest,
                enum lb_end end)
{
    char line[LB_DIGEST_TEXT_SIZE + LB_PEER_SIZE + 64];
    char peer[LB_PEER_SIZE];
    int length = snprintf(line, sizeof(line), "%s  %" PRIu64 "  %s  %s\n", digest,
                          lb_stream_bytes(stream), lb_end_name(end), lb_stream_peer(stream, peer));

    return lb_output_write(&sink->output, line, (size_t)length);
}

static int hash_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct hash_context *sink = context;
    struct hash_state *state = lb_stream_state(stream);
    char digest[LB_DIGEST_TEXT_SIZE];
    int rc = lb_digest_finish(&state->digest, digest);

    lb_digest_close(&state->digest);
    return rc < 0 ? rc : tell(sink, stream, digest, end);
}

static int choose(struct hash_context *sink, const char *name, struct lb_error *error)
{
    int rc = lb_digest_choose(&sink->method, name);

    if (rc == -ENOTSUP)
        return lb_error_set(error, rc, "hash:%s: this libcrypto does not offer it; use xxh3", name);
    if (rc < 0)
        return lb_error_set(error, rc, "hash:%s: unknown algorithm; use xxh3 or sha256", name);
    return 0;
}

static int hash_setup(void **context, const char *argument, const struct lb_sink_options *options,
                      struct lb_error *error)
{
    struct hash_context *sink = calloc(1, sizeof(*sink));
    int rc;

    if (!sink)
        return lb_error_set(error, -ENOMEM, "hash: out of memory");
    rc = choose(sink, argument, error);
    if (rc == 0)
        rc = lb_output_init(&sink->output, "hash", options, error);
    if (rc < 0) {
        lb_digest_release(&sink->method);
        free(sink);
        return rc;
    }
    *context = sink;
    return 0;
}

static void hash_teardown(void *context)
{
    struct hash_context *sink = context;

    lb_digest_release(&sink->method);
    free(sink);
}

const struct lb_builtin lb_sink_hash = {
    .sink =
        {
            LB_SINK_INIT,
            .name = "hash",
            .state_size = sizeof(struct hash_state),
            .flags = LB_SINK_SLOW_END,
            .needs = LB_NEEDS_OUTPUT,
            .open = hash_open,
            .write = hash_write,
            .end = hash_end,
        },
    .argument = "ALGO",
    .argument_optional = true,
    .help = "a line with digest, bytes, end and peer; xxh3 (default) or sha256",
    .setup = hash_setup,
    .teardown = hash_teardown,
};
