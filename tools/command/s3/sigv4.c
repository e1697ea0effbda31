/* SPDX-License-Identifier: MIT */
#include "sigv4.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DIGEST_SIZE = 32, DATE_SIZE = 8, SECRET_MAX = 256 };

void sigv4_hex(const unsigned char digest[DIGEST_SIZE], char hex[SIGV4_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * (size_t)DIGEST_SIZE] = '\0';
}

int sigv4_hash(const void *data, size_t size, char hex[SIGV4_HEX_SIZE])
{
    unsigned char digest[DIGEST_SIZE];

    if (!EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL))
        return -ENOMEM;
    sigv4_hex(digest, hex);
    return 0;
}

void sigv4_stamp(char stamp[SIGV4_STAMP_SIZE], long long seconds)
{
    time_t time = (time_t)seconds;
    struct tm utc;

    gmtime_r(&time, &utc);
    strftime(stamp, SIGV4_STAMP_SIZE, "%Y%m%dT%H%M%SZ", &utc);
}

static bool is_unreserved(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

long sigv4_encode(char *encoded, size_t room, const char *text, bool slashes)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;

    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (used + 4 > room)
            return -EMSGSIZE;
        if (is_unreserved(*text) || (slashes && *text == '/')) {
            encoded[used++] = *text;
        } else {
            encoded[used++] = '%';
            encoded[used++] = digits[byte >> 4];
            encoded[used++] = digits[byte & 15];
        }
    }
    if (used >= room)
        return -EMSGSIZE;
    encoded[used] = '\0';
    return (long)used;
}

/* ---- what is signed -------------------------------------------------------------------------- */

static bool add(EVP_MD_CTX *hash, const char *text)
{
    return EVP_DigestUpdate(hash, text, strlen(text));
}

static bool add_line(EVP_MD_CTX *hash, const char *text)
{
    return add(hash, text) && add(hash, "\n");
}

static bool add_names(EVP_MD_CTX *hash, const struct sigv4_request *request)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (!(i == 0 || add(hash, ";")) || !add(hash, request->headers[i].name))
            return false;
    return add(hash, "\n");
}

static bool add_headers(EVP_MD_CTX *hash, const struct sigv4_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct sigv4_header *header = &request->headers[i];

        if (!add(hash, header->name) || !add(hash, ":") || !add_line(hash, header->value))
            return false;
    }
    return add(hash, "\n");
}

/* The hash of the canonical request. */
static int hash_request(const struct sigv4_request *request, char hex[SIGV4_HEX_SIZE])
{
    unsigned char digest[DIGEST_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool done = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
                add_line(hash, request->method) && add_line(hash, request->path) &&
                add_line(hash, request->query) && add_headers(hash, request) &&
                add_names(hash, request) && add(hash, request->payload) &&
                EVP_DigestFinal_ex(hash, digest, NULL);

    EVP_MD_CTX_free(hash);
    if (!done)
        return -ENOMEM;
    sigv4_hex(digest, hex);
    return 0;
}

static bool derive(unsigned char key[DIGEST_SIZE], size_t size, const char *text, size_t length)
{
    return HMAC(EVP_sha256(), key, (int)size, (const unsigned char *)text, length, key, NULL);
}

/* The key of a day, a region and a service. */
static int derive_key(const struct sigv4_key *key, const char *stamp,
                      unsigned char derived[DIGEST_SIZE])
{
    unsigned char secret[SECRET_MAX];
    size_t size = strlen("AWS4") + strlen(key->secret);
    bool done;

    if (size >= sizeof(secret))
        return -EMSGSIZE;
    snprintf((char *)secret, sizeof(secret), "AWS4%s", key->secret);
    done = HMAC(EVP_sha256(), secret, (int)size, (const unsigned char *)stamp, DATE_SIZE, derived,
                NULL) &&
           derive(derived, DIGEST_SIZE, key->region, strlen(key->region)) &&
           derive(derived, DIGEST_SIZE, key->service, strlen(key->service)) &&
           derive(derived, DIGEST_SIZE, "aws4_request", strlen("aws4_request"));
    explicit_bzero(secret, sizeof(secret));
    return done ? 0 : -ENOMEM;
}

static int sign_text(const struct sigv4_key *key, const char *stamp, const char *text,
                     char hex[SIGV4_HEX_SIZE])
{
    unsigned char derived[DIGEST_SIZE];
    int rc = derive_key(key, stamp, derived);

    if (rc == 0 && !derive(derived, DIGEST_SIZE, text, strlen(text)))
        rc = -ENOMEM;
    if (rc == 0)
        sigv4_hex(derived, hex);
    explicit_bzero(derived, sizeof(derived));
    return rc;
}

int sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *request, const char *stamp,
               char authorization[SIGV4_AUTHORIZATION_SIZE])
{
    char hex[SIGV4_HEX_SIZE], scope[200], text[400];
    int size = snprintf(scope, sizeof(scope), "%.*s/%s/%s/aws4_request", DATE_SIZE, stamp,
                        key->region, key->service);
    int rc = size < (int)sizeof(scope) ? hash_request(request, hex) : -EMSGSIZE;
    size_t used, room = SIGV4_AUTHORIZATION_SIZE;

    if (rc < 0)
        return rc;
    snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp, scope, hex);
    rc = sign_text(key, stamp, text, hex);
    if (rc < 0)
        return rc;
    used = (size_t)snprintf(authorization, room,
                            "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", key->access_key,
                            scope);
    for (size_t i = 0; i < request->header_count && used < room; i++)
        used += (size_t)snprintf(authorization + used, room - used, "%s%s", i ? ";" : "",
                                 request->headers[i].name);
    if (used < room)
        used += (size_t)snprintf(authorization + used, room - used, ", Signature=%s", hex);
    return used < room ? 0 : -EMSGSIZE;
}
