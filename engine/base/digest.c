/* SPDX-License-Identifier: MIT */
#include "digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { DIGEST_MAX = (LB_DIGEST_TEXT_SIZE - 1) / 2 };

struct lb_digest_algorithm {
    const char *name;
    size_t size; /* bytes of a digest */
    bool by_libcrypto;
    void *(*open)(const EVP_MD *looked_up);
    bool (*update)(void *running, const void *data, size_t size);
    bool (*finish)(void *running, uint8_t *digest);
    void (*close)(void *running);
};

static void *xxh3_open(const EVP_MD *looked_up)
{
    XXH3_state_t *running = XXH3_createState();

    (void)looked_up;
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

static void *evp_open(const EVP_MD *looked_up)
{
    EVP_MD_CTX *running = EVP_MD_CTX_new();

    if (running && !EVP_DigestInit_ex2(running, looked_up, NULL)) {
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
static const struct lb_digest_algorithm algorithms[] = {
    {"xxh3", sizeof(XXH128_canonical_t), false, xxh3_open, xxh3_update, xxh3_finish, xxh3_close},
    {"sha256", DIGEST_MAX, true, evp_open, evp_update, evp_finish, evp_close},
    {0},
};

int lb_digest_choose(struct lb_digest_method *method, const char *name)
{
    const struct lb_digest_algorithm *algorithm = algorithms;
    EVP_MD *looked_up = NULL;

    while (name && algorithm->name && strcmp(algorithm->name, name) != 0)
        algorithm++;
    if (!algorithm->name)
        return -EINVAL;
    if (algorithm->by_libcrypto) {
        looked_up = EVP_MD_fetch(NULL, algorithm->name, NULL);
        if (!looked_up)
            return -ENOTSUP;
    }
    *method = (struct lb_digest_method){.algorithm = algorithm, .looked_up = looked_up};
    return 0;
}

void lb_digest_release(struct lb_digest_method *method)
{
    EVP_MD_free(method->looked_up);
    *method = (struct lb_digest_method){0};
}

const char *lb_digest_name(const struct lb_digest_method *method)
{
    return method->algorithm->name;
}

int lb_digest_open(struct lb_digest *digest, const struct lb_digest_method *method)
{
    void *running = method->algorithm->open(method->looked_up);

    if (!running)
        return -ENOMEM;
    *digest = (struct lb_digest){.algorithm = method->algorithm, .running = running};
    return 0;
}

int lb_digest_update(struct lb_digest *digest, const void *data, size_t size)
{
    return digest->algorithm->update(digest->running, data, size) ? 0 : -EIO;
}

int lb_digest_finish(struct lb_digest *digest, char text[LB_DIGEST_TEXT_SIZE])
{
    uint8_t bytes[DIGEST_MAX];

    if (!digest->algorithm->finish(digest->running, bytes))
        return -EIO;
    for (size_t i = 0; i < digest->algorithm->size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

void lb_digest_close(struct lb_digest *digest)
{
    if (digest->algorithm)
        digest->algorithm->close(digest->running);
    *digest = (struct lb_digest){0};
}
