/* SPDX-License-Identifier: MIT */
#include "tls_records.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 5,
    TAG = 16,
    CONTENT_MOST = 16 << 10,
    BODY_MOST = CONTENT_MOST + 256,
    NONCE = sizeof(((struct lb_tls_records *)0)->iv),
};

struct lb_tls_suite {
    uint16_t id;
    const char *cipher, *digest;
    size_t secret_size;
};

static const struct lb_tls_suite suites[] = {
    {0x1301, "AES-128-GCM", "SHA256", 32},
    {0x1302, "AES-256-GCM", "SHA384", 48},
    {0x1303, "ChaCha20-Poly1305", "SHA256", 32},
};

/* ---- keys ------------------------------------------------------------------------------------ */

/* HKDF-Expand-Label with an empty context (RFC 8446, 7.1). */
static bool expand(const struct lb_tls_records *records, const char *label, uint8_t *made,
                   size_t size)
{
    static const char prefix[] = "tls13 ";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)records->suite->digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)records->secret,
                                          records->secret_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (void *)prefix, strlen(prefix)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };
    bool done = ctx && EVP_KDF_derive(ctx, made, size, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return done;
}

static void drop_ctx(struct lb_tls_records *records)
{
    EVP_CIPHER_CTX_free(records->ctx);
    records->ctx = NULL;
}

static bool take_keys(struct lb_tls_records *records)
{
    size_t size = (size_t)EVP_CIPHER_get_key_length(records->cipher);

    drop_ctx(records);
    records->sequence = records->shown = 0;
    return size <= sizeof(records->key) && expand(records, "key", records->key, size) &&
           expand(records, "iv", records->iv, NONCE);
}

/* Its key's schedule is made in less time than a record takes: an idle stream has no memory for it.
 */
static bool make_ctx(struct lb_tls_records *records)
{
    if (records->ctx)
        return true;
    records->ctx = EVP_CIPHER_CTX_new();
    if (records->ctx &&
        EVP_CipherInit_ex(records->ctx, records->cipher, NULL, records->key, NULL, 0) == 1)
        return true;
    drop_ctx(records);
    return false;
}

void lb_tls_records_learn(struct lb_tls_records *records, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    const char *hex;

    if (strncmp(line, label, strlen(label)) != 0)
        return;
    hex = strrchr(line, ' ') + 1; /* behind the client's random number */
    if (OPENSSL_hexstr2buf_ex(records->secret, sizeof(records->secret), &records->secret_size, hex,
                              '\0') != 1)
        records->secret_size = 0;
}

int lb_tls_records_begin(struct lb_tls_records *records, const SSL *ssl)
{
    uint16_t id = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));

    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        if (suites[i].id == id && suites[i].secret_size == records->secret_size)
            records->suite = &suites[i];
    if (!records->suite)
        return 0;
    records->cipher = EVP_CIPHER_fetch(NULL, records->suite->cipher, NULL);
    return records->cipher && take_keys(records) ? 0 : -ENOMEM;
}

int lb_tls_records_renew(struct lb_tls_records *records)
{
    uint8_t next[sizeof(records->secret)];
    bool done = expand(records, "traffic upd", next, records->secret_size);

    if (done)
        memcpy(records->secret, next, records->secret_size);
    OPENSSL_cleanse(next, sizeof(next));
    return done && take_keys(records) ? 0 : -ENOMEM;
}

void lb_tls_records_done(struct lb_tls_records *records)
{
    drop_ctx(records);
    EVP_CIPHER_free(records->cipher);
    free(records->part);
    OPENSSL_cleanse(records, sizeof(*records));
}

/* ---- one record ------------------------------------------------------------------------------ */

static void begin_nonce(uint8_t nonce[NONCE], const struct lb_tls_records *records, uint64_t number)
{
    memcpy(nonce, records->iv, NONCE);
    for (unsigned i = NONCE; number > 0; number >>= 8)
        nonce[--i] ^= (uint8_t)number;
}

/* Makes inner plaintext of a whole record: content, its type, padding. Returns how many bytes, or
 * 0: it is damaged. */
static size_t decipher(struct lb_tls_records *records, const uint8_t *record, size_t size,
                       uint8_t *inner)
{
    EVP_CIPHER_CTX *ctx = records->ctx;
    uint8_t nonce[NONCE];
    int count, rest;

    if (size <= HEADER + TAG || records->sequence == UINT64_MAX)
        return 0;
    begin_nonce(nonce, records, records->sequence++);
    if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, 0) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(record + size - TAG)) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &count, record, HEADER) != 1 ||
        EVP_CipherUpdate(ctx, inner, &count, record + HEADER, (int)(size - HEADER - TAG)) != 1 ||
        EVP_CipherFinal_ex(ctx, inner + count, &rest) != 1)
        return 0;
    return size - HEADER - TAG;
}

/* Makes a record of the inner plaintext that stands behind place for a header. Returns its size, or
 * 0. */
static size_t encipher(struct lb_tls_records *records, uint8_t *record, size_t inner)
{
    const size_t body = inner + TAG;
    const uint8_t header[HEADER] = {SSL3_RT_APPLICATION_DATA, 3, 3, (uint8_t)(body >> 8),
                                    (uint8_t)body};
    EVP_CIPHER_CTX *ctx = records->ctx;
    uint8_t *bytes = record + HEADER, nonce[NONCE];
    int count, rest;

    memcpy(record, header, HEADER);
    begin_nonce(nonce, records, records->shown++);
    if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, 1) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &count, record, HEADER) != 1 ||
        EVP_CipherUpdate(ctx, bytes, &count, bytes, (int)inner) != 1 ||
        EVP_CipherFinal_ex(ctx, bytes + count, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, bytes + inner) != 1)
        return 0;
    return HEADER + body;
}

size_t lb_tls_records_note(struct lb_tls_records *records, uint8_t note[LB_TLS_NOTE_SIZE])
{
    note[HEADER] = 0;
    note[HEADER + 1] = SSL3_RT_APPLICATION_DATA;
    records->unsure = false;
    return encipher(records, note, LB_TLS_NOTE_SIZE - HEADER - TAG);
}

/* ---- one after the other --------------------------------------------------------------------- */

/* Of a whole record by its header; 0: libssl refuses it, without asking for more. */
static size_t size_of(const uint8_t *header)
{
    size_t body = (size_t)header[3] << 8 | header[4];
    bool is_one = header[0] == SSL3_RT_APPLICATION_DATA && header[1] == 3 && header[2] == 3 &&
                  body <= BODY_MOST;

    return is_one ? HEADER + body : 0;
}

static void take(struct lb_tls_piece *piece, size_t size)
{
    piece->data += size;
    piece->size -= size;
}

/* Returns whether there are need bytes of a record now. */
static bool gather(struct lb_tls_records *records, struct lb_tls_piece *piece, size_t need)
{
    size_t more = need > records->have ? need - records->have : 0;

    if (more > piece->size)
        more = piece->size;
    memcpy(records->part + records->have, piece->data, more);
    records->have += more;
    take(piece, more);
    return records->have >= need;
}

static void drop_part(struct lb_tls_records *records)
{
    free(records->part);
    records->part = NULL;
}

/* Finds a whole record, or a header that is none: of *size 0. It stays where it came, unless it
 * came in parts. */
static enum lb_tls_found find(struct lb_tls_records *records, struct lb_tls_piece *piece,
                              const uint8_t **record, size_t *size)
{
    if (!records->part && piece->size >= HEADER) {
        *record = piece->data;
        *size = size_of(*record);
        if (*size <= piece->size) {
            take(piece, *size ? *size : HEADER);
            return LB_TLS_CONTENT;
        }
    }
    if (piece->size == 0)
        return LB_TLS_NOTHING;
    if (!records->part) {
        records->part = malloc(LB_TLS_RECORD_MOST);
        records->have = 0;
    }
    if (!records->part)
        return LB_TLS_NO_MEMORY;
    *record = records->part;
    if (!gather(records, piece, HEADER))
        return LB_TLS_NOTHING;
    *size = size_of(*record);
    return gather(records, piece, *size) ? LB_TLS_CONTENT : LB_TLS_NOTHING;
}

/* A record of one byte, which has no place for a tag. */
static size_t make_damaged(uint8_t *made)
{
    static const uint8_t damaged[HEADER + 1] = {SSL3_RT_APPLICATION_DATA, 3, 3, 0, 1};

    memcpy(made, damaged, sizeof(damaged));
    return sizeof(damaged);
}

static enum lb_tls_found open_record(struct lb_tls_records *records, const uint8_t *record,
                                     uint8_t *made, size_t *size)
{
    size_t inner;

    if (*size == 0) {
        memcpy(made, record, *size = HEADER);
        return LB_TLS_REFUSED;
    }
    inner = decipher(records, record, *size, made);
    if (inner == 0) {
        *size = make_damaged(made);
        return LB_TLS_REFUSED;
    }
    while (inner > 1 && made[inner - 1] == 0)
        inner--;
    *size = inner - 1;
    if (made[*size] == SSL3_RT_APPLICATION_DATA && *size > 0 && *size <= CONTENT_MOST)
        return LB_TLS_CONTENT;
    memmove(made + HEADER, made, inner);
    records->unsure = true;
    *size = encipher(records, made, inner);
    return *size > 0 ? LB_TLS_SHOW : LB_TLS_NO_MEMORY;
}

enum lb_tls_found lb_tls_records_next(struct lb_tls_records *records, struct lb_tls_piece *piece,
                                      uint8_t *made, size_t *size)
{
    const uint8_t *record;
    enum lb_tls_found found = find(records, piece, &record, size);

    if (found == LB_TLS_NOTHING && !records->part)
        drop_ctx(records);
    if (found != LB_TLS_CONTENT)
        return found;
    found = make_ctx(records) ? open_record(records, record, made, size) : LB_TLS_NO_MEMORY;
    if (records->part)
        drop_part(records);
    return found;
}
