/* SPDX-License-Identifier: MIT */
/* hash: a line for each stream: digest, bytes, end, peer. */
#include "../error.h"
#include "output.h"
#include "sinks.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { DIGEST_MAX = 32 };

/* One way to make a digest. open returns what the other functions get, or NULL for no memory. */
struct algorithm {
    const char *name;
    size_t digest_size;
    void *(*open)(const EVP_MD *method);
    bool (*update)(void *running, const void *data, size_t size);
    bool (*finish)(void *running, uint8_t *digest);
    void (*close)(void *running);
};

struct hash_context {
    struct lb_output output;
    const struct algorithm *algorithm;
    EVP_MD *method; /* looked up once, as a look-up takes a lock; NULL for xxh3 */
};

struct hash_state {
    void *running;
};

static void *xxh3_open(const EVP_MD *method)
{
    XXH3_state_t *running = XXH3_createState();

    (void)method;
    if (running)
        XXH3_128bits_reset(running);
    return running;
}

static bool xxh3_update(void *running, const void *data, size_t size)
{
    return XXH3_128bits_update(running, data, size) == XXH_OK;
}

static bool xxh3_finish(void *running, uint8_t *digest)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(running));
    memcpy(digest, canonical.digest, sizeof(canonical.digest));
    return true;
}

static void xxh3_close(void *running)
{
    XXH3_freeState(running);
}

static void *evp_open(const EVP_MD *method)
{
    EVP_MD_CTX *running = EVP_MD_CTX_new();

    if (running && !EVP_DigestInit_ex2(running, method, NULL)) {
        EVP_MD_CTX_free(running);
        return NULL;
    }
    return running;
}

static bool evp_update(void *running, const void *data, size_t size)
{
    return EVP_DigestUpdate(running, data, size) == 1;
}

static bool evp_finish(void *running, uint8_t *digest)
{
    return EVP_DigestFinal_ex(running, digest, NULL) == 1;
}

static void evp_close(void *running)
{
    EVP_MD_CTX_free(running);
}

/* The first is the default. */
static const struct algorithm algorithms[] = {
    {"xxh3", sizeof(XXH128_canonical_t), xxh3_open, xxh3_update, xxh3_finish, xxh3_close},
    {"sha256", 32, evp_open, evp_update, evp_finish, evp_close},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static int hash_open(struct lb_stream *stream, void *context)
{
    const struct hash_context *sink = context;
    struct hash_state *state = lb_stream_state(stream);

    state->running = sink->algorithm->open(sink->method);
    return state->running ? 0 : -ENOMEM;
}

static ssize_t hash_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct hash_context *sink = context;
    const struct hash_state *state = lb_stream_state(stream);

    return sink->algorithm->update(state->running, data, size) ? (ssize_t)size : -EIO;
}

static int tell(const struct hash_context *sink, const struct lb_stream *stream,
                const uint8_t *digest, enum lb_end end)
{
    char line[2 * DIGEST_MAX + LB_PEER_SIZE + 64];
    char peer[LB_PEER_SIZE];
    size_t length = 0;

    for (size_t i = 0; i < sink->algorithm->digest_size; i++)
        length += (size_t)sprintf(line + length, "%02x", digest[i]);
    length +=
        (size_t)snprintf(line + length, sizeof(line) - length, "  %" PRIu64 "  %s  %s\n",
                         lb_stream_bytes(stream), lb_end_name(end), lb_stream_peer(stream, peer));
    return lb_output_write(&sink->output, line, length);
}

static int hash_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct hash_context *sink = context;
    const struct hash_state *state = lb_stream_state(stream);
    uint8_t digest[DIGEST_MAX];
    bool finished = sink->algorithm->finish(state->running, digest);

    sink->algorithm->close(state->running);
    return finished ? tell(sink, stream, digest, end) : -EIO;
}

static int choose(struct hash_context *sink, const char *name, struct lb_error *error)
{
    const struct algorithm *algorithm = algorithms;

    while (name && algorithm->name && strcmp(algorithm->name, name) != 0)
        algorithm++;
    if (!algorithm->name)
        return lb_error_set(error, -EINVAL, "hash:%s: unknown algorithm; use xxh3 or sha256", name);
    sink->algorithm = algorithm;
    if (algorithm->open != evp_open)
        return 0;
    sink->method = EVP_MD_fetch(NULL, algorithm->name, NULL);
    if (!sink->method)
        return lb_error_set(error, -ENOTSUP, "hash:%s: this libcrypto does not offer it; use xxh3",
                            name);
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
        EVP_MD_free(sink->method);
        free(sink);
        return rc;
    }
    *context = sink;
    return 0;
}

static void hash_teardown(void *context)
{
    struct hash_context *sink = context;

    EVP_MD_free(sink->method);
    free(sink);
}

const struct lb_builtin lb_sink_hash = {
    .sink =
        {
            .name = "hash",
            .state_size = sizeof(struct hash_state),
            .flags = LB_SINK_SLOW_END,
            .open = hash_open,
            .write = hash_write,
            .end = hash_end,
        },
    .argument = "ALGO",
    .argument_optional = true,
    .setup = hash_setup,
    .teardown = hash_teardown,
};
