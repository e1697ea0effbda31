/* SPDX-License-Identifier: MIT */
#include "seal.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { HEX_SIZE = 64, DIGEST_SIZE = 32 };

static const char magic[] = "lastbyte-seal/1 ";
static const char *const names[LB_SEAL_KINDS] = {"count", "sha256", "hmac-sha256"};

/* ---- the digest ------------------------------------------------------------------------------ */

/* sha256 is an EVP_MD_CTX, hmac-sha256 an EVP_MAC_CTX. */
static void *start_hmac(const struct lb_seal_key *key)
{
    EVP_MAC *method = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = method ? EVP_MAC_CTX_new(method) : NULL;
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string("digest", digest, 0),
        OSSL_PARAM_construct_end(),
    };

    EVP_MAC_free(method);
    if (context && EVP_MAC_init(context, key->data, key->size, parameters) == 1)
        return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

static void *start_sha256(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1)
        return context;
    EVP_MD_CTX_free(context);
    return NULL;
}

static int start(struct lb_seal *seal, const struct lb_seal_key *key)
{
    if (seal->kind == LB_SEAL_COUNT)
        return 0;
    seal->running = seal->kind == LB_SEAL_HMAC ? start_hmac(key) : start_sha256();
    return seal->running ? 0 : -ENOMEM;
}

static int update(struct lb_seal *seal, const void *data, size_t size)
{
    int rc = 1;

    if (seal->kind == LB_SEAL_HMAC)
        rc = EVP_MAC_update(seal->running, data, size);
    else if (seal->kind == LB_SEAL_SHA256)
        rc = EVP_DigestUpdate(seal->running, data, size);
    return rc == 1 ? 0 : -EIO;
}

static int finish(struct lb_seal *seal, char hex[HEX_SIZE + 1])
{
    unsigned char digest[DIGEST_SIZE] = {0};
    size_t size = DIGEST_SIZE;
    int rc = 1;

    if (seal->kind == LB_SEAL_HMAC)
        rc = EVP_MAC_final(seal->running, digest, &size, sizeof(digest));
    else if (seal->kind == LB_SEAL_SHA256)
        rc = EVP_DigestFinal_ex(seal->running, digest, NULL);
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return rc == 1 ? 0 : -EIO;
}

void lb_seal_close(struct lb_seal *seal)
{
    if (seal->kind == LB_SEAL_HMAC)
        EVP_MAC_CTX_free(seal->running);
    else
        EVP_MD_CTX_free(seal->running);
    seal->running = NULL;
}

int lb_seal_add(struct lb_seal *seal, const void *data, size_t size)
{
    seal->count += size;
    return update(seal, data, size);
}

/* ---- sending --------------------------------------------------------------------------------- */

static int make_nonce(char nonce[LB_SEAL_NONCE_SIZE + 1])
{
    unsigned char random[LB_SEAL_NONCE_SIZE / 2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(nonce + 2 * i, 3, "%02x", random[i]);
    return 0;
}

long lb_seal_begin(struct lb_seal *seal, enum lb_seal_kind kind, const struct lb_seal_key *key,
                   char line[LB_SEAL_FIRST_MAX])
{
    char text[LB_SEAL_FIRST_MAX + 1];
    int size, rc;

    *seal = (struct lb_seal){.kind = key->data ? LB_SEAL_HMAC : kind};
    rc = make_nonce(seal->nonce);
    if (rc == 0)
        rc = start(seal, key);
    if (rc < 0)
        return rc;
    size = snprintf(text, sizeof(text), "%s%s %s\n", magic, names[seal->kind], seal->nonce);
    memcpy(line, text, (size_t)size);
    rc = update(seal, line, (size_t)size);
    if (rc < 0)
        lb_seal_close(seal);
    return rc < 0 ? rc : size;
}

/* All of the end but HEX and the newline. */
static size_t write_end(const struct lb_seal *seal, char text[LB_SEAL_END_SIZE + 1])
{
    return (size_t)snprintf(text, LB_SEAL_END_SIZE + 1, "\n%send %s %020" PRIu64 " ", magic,
                            seal->nonce, seal->count);
}

int lb_seal_end(struct lb_seal *seal, char end[LB_SEAL_END_SIZE])
{
    char text[LB_SEAL_END_SIZE + 1], hex[HEX_SIZE + 1];
    size_t before = write_end(seal, text);
    int rc = update(seal, text, before);

    if (rc == 0)
        rc = finish(seal, hex);
    if (rc < 0)
        return rc;
    memcpy(end, text, before);
    memcpy(end + before, hex, HEX_SIZE);
    end[before + HEX_SIZE] = '\n';
    return 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

bool lb_seal_may_begin(const char *text, size_t size)
{
    size_t known = sizeof(magic) - 1;

    return memcmp(text, magic, size < known ? size : known) == 0;
}

static bool is_hex(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr("0123456789abcdef", text[i]) || !text[i])
            return false;
    return true;
}

static int find_kind(const char *line, size_t size, enum lb_seal_kind *kind)
{
    const size_t before = sizeof(magic) - 1;

    for (int i = 0; i < LB_SEAL_KINDS; i++) {
        size_t length = strlen(names[i]);

        if (size != before + length + 1 + LB_SEAL_NONCE_SIZE + 1 ||
            memcmp(line + before, names[i], length) != 0 || line[before + length] != ' ')
            continue;
        *kind = (enum lb_seal_kind)i;
        return 0;
    }
    return -EINVAL;
}

int lb_seal_open(struct lb_seal *seal, const char *line, size_t size, const struct lb_seal_key *key)
{
    const char *nonce;
    int rc;

    *seal = (struct lb_seal){0};
    if (size < sizeof(magic) - 1 || !lb_seal_may_begin(line, size) ||
        find_kind(line, size, &seal->kind) < 0)
        return -EINVAL;
    nonce = line + size - LB_SEAL_NONCE_SIZE - 1;
    if (!is_hex(nonce, LB_SEAL_NONCE_SIZE) || line[size - 1] != '\n')
        return -EINVAL;
    if ((seal->kind == LB_SEAL_HMAC) != (key->data != NULL))
        return -EKEYREJECTED;
    memcpy(seal->nonce, nonce, LB_SEAL_NONCE_SIZE);
    rc = start(seal, key);
    return rc < 0 ? rc : update(seal, line, size);
}

int lb_seal_check(struct lb_seal *seal, const char end[LB_SEAL_END_SIZE])
{
    const size_t named = 1 + sizeof(magic) - 1 + strlen("end ") + LB_SEAL_NONCE_SIZE + 1;
    char right[LB_SEAL_END_SIZE];
    int rc = lb_seal_end(seal, right);

    if (rc < 0)
        return rc;
    if (memcmp(end, right, named) != 0)
        return -EINVAL;
    /* In constant time: how far a forger came is nobody's to know. */
    return CRYPTO_memcmp(end, right, LB_SEAL_END_SIZE) == 0 ? 0 : -EBADMSG;
}
